/* help.c - --help and the manual page, both from the verbs' tables. */
#include <stdio.h>
#include <string.h>

#include "cli/cli.h"

void help_overview(void)
{
    puts("Slipway takes a trained network to the device it has to run on, and proves that it is "
         "still\n"
         "the same network there.\n\n"
         "  slipway convert model.onnx -o model.tflite --quantize int8 --calib pictures/\n"
         "  slipway verify model.onnx model.tflite --inputs pictures/\n\n"
         "Commands:");
    for (const slip_verb *const *v = slip_verbs(); *v; v++)
        printf("  %-10s %s\n", (*v)->name, (*v)->summary);
    puts("\n'slipway COMMAND --help' explains one; 'slipway --version' lists the features built "
         "in.");
}

static void option_spec(const slip_option *o, char *out, size_t n)
{
    const char *value = o->kind == SLIP_OPT_ENUM ? o->choices : o->value;

    snprintf(out, n, "%c%c%s--%s%s%s", o->letter ? '-' : ' ', o->letter ? o->letter : ' ',
             o->letter ? ", " : "  ", o->name, o->kind == SLIP_OPT_FLAG ? "" : " ",
             o->kind == SLIP_OPT_FLAG || !value ? "" : value);
}

static void options(const slip_option *o)
{
    char spec[200];

    for (; o && o->name; o++) {
        option_spec(o, spec, sizeof spec);
        printf("  %-28s%s%s%s%s%s%s\n", spec,
               strlen(spec) >= 28 ? "\n                              " : "", o->help,
               o->def ? " (default: " : "", o->def ? o->def : "", o->def ? ")" : "",
               o->repeat ? " [repeatable]" : "");
    }
}

void help_verb(const slip_verb *v)
{
    printf("slipway %s %s [options]\n\n%s\n", v->name, v->arguments, v->summary);
    puts("\nExamples:");
    for (int i = 0; i < 2; i++)
        if (v->examples[i])
            printf("  %s\n", v->examples[i]);
    if (v->details)
        printf("\n%s\n", v->details);
    puts("\nOptions:");
    options(v->options);
    options(slip_common_options());
}

/* Text for roff: backslashes, dashes and leading dots need care. */
static void roff(const char *s)
{
    bool line_start = true;

    for (; *s; s++) {
        if (line_start && (*s == '.' || *s == '\''))
            fputs("\\&", stdout);
        if (*s == '\\')
            fputs("\\e", stdout);
        else if (*s == '-')
            fputs("\\-", stdout);
        else
            putchar(*s);
        line_start = *s == '\n';
    }
}

static void man_options(const slip_option *o)
{
    char spec[200];

    for (; o && o->name; o++) {
        option_spec(o, spec, sizeof spec);
        fputs(".TP\n.B ", stdout);
        roff(spec + strspn(spec, " "));
        putchar('\n');
        roff(o->help);
        if (o->def) {
            fputs(" Default: ", stdout);
            roff(o->def);
            putchar('.');
        }
        putchar('\n');
    }
}

void help_man(void)
{
    printf(".TH SLIPWAY 1 \"\" \"slipway %s\" \"User Commands\"\n", slip_version());
    puts(".SH NAME\nslipway \\- take a trained network to a device, verified");
    puts(".SH SYNOPSIS\n.B slipway\n.I COMMAND\n[\\fIoptions\\fR] [\\fIarguments\\fR]");
    puts(".SH DESCRIPTION\nReads a trained network (ONNX, TFLite), simplifies it, quantises it, "
         "converts it,"
         "\nruns it and verifies the result against the original.\n.SH COMMANDS");
    for (const slip_verb *const *v = slip_verbs(); *v; v++) {
        printf(".SS slipway %s ", (*v)->name);
        roff((*v)->arguments);
        putchar('\n');
        roff((*v)->summary);
        putchar('\n');
        if ((*v)->details) {
            puts(".PP");
            roff((*v)->details);
            putchar('\n');
        }
        puts(".PP\nExamples:\n.nf");
        for (int i = 0; i < 2; i++)
            if ((*v)->examples[i]) {
                fputs("  ", stdout);
                roff((*v)->examples[i]);
                putchar('\n');
            }
        puts(".fi");
        man_options((*v)->options);
    }
    puts(".SH COMMON OPTIONS");
    man_options(slip_common_options());
    puts(".SH EXIT STATUS\n0 done; 1 the model, the data or a verification is at fault; 2 wrong "
         "usage;\n"
         "3 valid but unsupported; 4 a bug of slipway.");
}

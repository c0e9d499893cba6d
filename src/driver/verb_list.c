/* verb_list.c - what is built in, from the same tables that do the work. */
#include <string.h>

#include "driver/job.h"
#include "exec/exec.h"
#include "format/format.h"
#include "ir/op.h"
#include "pass/pass.h"
#include "profile/profile.h"
#include "quant/quant.h"
#include "quant/range.h"

static void row(struct slip_job *j, const char *name, const char *help)
{
    job_say(j, "%-26s %s\n", name, help);
    jsonw_object(&j->json);
    jsonw_kstring(&j->json, "name", name);
    jsonw_kstring(&j->json, "help", help);
    jsonw_end(&j->json);
}

static void list_ops(struct slip_job *j)
{
    for (int i = 0; i < OP_COUNT; i++)
        row(j, op_get((enum op_id)i)->name, op_get((enum op_id)i)->doc);
}

static void list_engines(struct slip_job *j, enum op_id op)
{
    for (size_t e = 0; engines[e]; e++) {
        const char *how = engines[e]->how(op);

        job_say(j, " %-10s", how ? how : "-");
        jsonw_kstring(&j->json, engines[e]->name, how);
    }
}

/* op x {each reader, each writer, each engine}: a cell is the format's own name for it, or how the
 * engine computes it. */
static void list_matrix(struct slip_job *j)
{
    job_say(j, "%-28s", "op");
    for (size_t f = 0; formats[f]; f++) {
        if (formats[f]->spell_read)
            job_say(j, " %-28s", arena_printf(j->arena, "read %s", formats[f]->name));
        if (formats[f]->spell_write)
            job_say(j, " %-28s", arena_printf(j->arena, "write %s", formats[f]->name));
    }
    for (size_t e = 0; engines[e]; e++)
        job_say(j, " %-10s", engines[e]->name);
    job_say(j, "\n");
    for (int i = 0; i < OP_COUNT; i++) {
        const struct op_def *d = op_get((enum op_id)i);

        job_say(j, "%-28s", d->name);
        jsonw_object(&j->json);
        jsonw_kstring(&j->json, "op", d->name);
        for (size_t f = 0; formats[f]; f++) {
            const char *(*spell[])(enum op_id) = { formats[f]->spell_read,
                                                   formats[f]->spell_write };
            static const char *const verb[] = { "read", "write" };

            for (int k = 0; k < 2; k++) {
                const char *s = spell[k] ? spell[k]((enum op_id)i) : NULL;

                if (!spell[k])
                    continue;
                job_say(j, " %-28s", s ? s : "-");
                jsonw_kstring(&j->json, arena_printf(j->arena, "%s_%s", verb[k], formats[f]->name),
                              s);
            }
        }
        list_engines(j, (enum op_id)i);
        job_say(j, "\n");
        jsonw_end(&j->json);
    }
}

static enum status list_targets(struct slip_job *j)
{
    const char *text;
    size_t n;

    for (size_t k = 0; profile_builtin(k, &text, &n); k++) {
        const struct profile *p;
        struct str name;

        TRY(profile_load(j->arena, profile_builtin(k, &text, &n), j->diags, &p));
        str_init(&name, j->arena);
        str_add(&name, p->id);
        for (int i = 0; i < p->aliases.n; i++)
            str_addf(&name, ", %s", p->aliases.v[i]);
        job_say(j, "%-26s %-12s %s\n", str_text(&name), p->formats.v[0], p->title);
        jsonw_object(&j->json);
        jsonw_kstring(&j->json, "name", p->id);
        jsonw_kstring(&j->json, "help", p->title);
        jsonw_kstring(&j->json, "format", p->formats.v[0]);
        jsonw_kint(&j->json, "rules", (int64_t)p->n_rules);
        jsonw_kstring(&j->json, "source", p->source);
        jsonw_end(&j->json);
    }
    return OK;
}

/* The defaults of one scheme as a settings file. */
static enum status list_settings(struct slip_job *j, const char *name)
{
    struct quant_settings s;
    const struct scheme *scheme;
    struct str text;

    TRY(scheme_find(name, j->diags, &scheme));
    TRY(scheme_settings(scheme, &s, j->arena, j->diags));
    str_init(&text, j->arena);
    settings_print(&s, name, &text);
    job_say(j, "%s", str_text(&text));
    jsonw_object(&j->json);
    jsonw_kstring(&j->json, "scheme", name);
    jsonw_kstring(&j->json, "settings", str_text(&text));
    jsonw_end(&j->json);
    return OK;
}

static enum status run(struct slip_job *j)
{
    const char *what = j->argument[0];

    if (job_has(j, "settings") && strcmp(what, "schemes") != 0)
        return job_usage(j, "--settings goes with 'list schemes'");
    if (job_has(j, "settings"))
        return list_settings(j, job_string(j, "settings"));

    jsonw_array(&j->json);
    if (strcmp(what, "ops") == 0 && job_flag(j, "matrix")) {
        list_matrix(j);
    } else if (strcmp(what, "ops") == 0) {
        list_ops(j);
    } else if (strcmp(what, "formats") == 0) {
        for (size_t i = 0; formats[i]; i++)
            row(j, formats[i]->name, formats[i]->help);
    } else if (strcmp(what, "passes") == 0) {
        for (size_t i = 0; passes[i]; i++)
            row(j, passes[i]->name, passes[i]->help);
    } else if (strcmp(what, "engines") == 0) {
        for (size_t i = 0; engines[i]; i++) {
            row(j, engines[i]->name, engines[i]->help);
            for (const struct engine_rules *r = engines[i]->rules; r && r->name; r++)
                row(j, arena_printf(j->arena, "%s=%s", engines[i]->name, r->name), r->help);
        }
    } else if (strcmp(what, "schemes") == 0) {
        for (size_t i = 0; schemes[i]; i++)
            row(j, schemes[i]->name, schemes[i]->help);
    } else if (strcmp(what, "methods") == 0) {
        for (size_t i = 0; range_methods[i]; i++)
            row(j, range_methods[i]->name, range_methods[i]->help);
    } else if (strcmp(what, "targets") == 0) {
        TRY(list_targets(j));
    } else {
        job_usage(j, "there is no list of \"%s\"", what);
        diag_hint(j->diags, "lists: ops, formats, passes, engines, schemes, methods, targets");
        return ERR_USAGE;
    }
    jsonw_end(&j->json);
    return OK;
}

static const slip_option options[] = {
    { "matrix", 0, false, SLIP_OPT_FLAG, NULL, NULL, NULL,
      "ops: which format reads and writes each, and which engine runs it" },
    { "settings", 0, false, SLIP_OPT_STRING, "SCHEME", NULL, NULL,
      "schemes: the settings of this one, as a file for --settings" },
    { 0 },
};

const struct verb verb_list = {
    .pub = { .name = "list",
             .arguments = "ops|formats|passes|engines|schemes|methods|targets",
             .min_arguments = 1,
             .max_arguments = 1,
             .summary = "list what is built in",
             .examples = { "slipway list ops --matrix", "slipway list schemes --json" },
             .options = options },
    .run = run,
};

/* embed.c - data files as a C table, for the build: embed OUT.c FILE...
 *
 * Each row is the file's name without folder and suffix, its bytes and their number. Runs on the
 * machine that builds.
 */
#include <stdio.h>
#include <string.h>

static int dump(FILE *out, const char *path, int k)
{
    FILE *in = fopen(path, "rb");
    int c, n = 0;

    if (!in) {
        perror(path);
        return 1;
    }
    fprintf(out, "static const char data_%d[] = {", k);
    while ((c = getc(in)) != EOF)
        fprintf(out, "%s%d,", n++ % 24 ? "" : "\n", (signed char)c);
    fprintf(out, "0\n};\n");
    return fclose(in) != 0;
}

int main(int argc, char **argv)
{
    FILE *out = argc > 2 ? fopen(argv[1], "w") : NULL;
    int bad = 0;

    if (!out) {
        fprintf(stderr, "usage: embed OUT.c FILE...\n");
        return 2;
    }
    fprintf(out, "/* Made by tools/embed.c. */\n#include \"profile/embedded.h\"\n");
    for (int i = 2; i < argc; i++)
        bad |= dump(out, argv[i], i - 2);
    fprintf(out, "const struct embedded embedded_profiles[] = {\n");
    for (int i = 2; i < argc; i++) {
        const char *name = strrchr(argv[i], '/') ? strrchr(argv[i], '/') + 1 : argv[i];

        fprintf(out, "    { \"%.*s\", data_%d, sizeof data_%d - 1 },\n", (int)strcspn(name, "."),
                name, i - 2, i - 2);
    }
    fprintf(out, "    { 0, 0, 0 },\n};\n");
    return fclose(out) != 0 || bad;
}

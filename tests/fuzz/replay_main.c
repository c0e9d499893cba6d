/* replay_main.c - drives a fuzz target without libFuzzer: replay_main [-r RUNS] FILE|FOLDER...
 *
 * Each file is given whole, cut at 64 points, and RUNS times (64 unless told) damaged: bits flipped,
 * bytes and 32-bit words replaced, a piece doubled or taken out. The damage depends on the file's
 * bytes only, so a finding repeats. An input that takes more than 20 seconds is a finding too.
 */
#include <dirent.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "fuzz.h"

enum { CUTS = 64, SECONDS_PER_INPUT = 20 };

/* The input now being read, for the word of farewell. */
static struct {
    char what[600];
    const uint8_t *data;
    size_t size;
} now;

static long n_inputs;

/* Asynchronous-signal-safe: a handler may call it. */
static void say(const char *text)
{
    if (write(STDERR_FILENO, text, strlen(text)) < 0)
        _exit(98);
}

static void farewell(void)
{
    FILE *f = fopen("fuzz-finding.bin", "wb");

    say("the input was: ");
    say(now.what);
    say(" (saved as fuzz-finding.bin)\n");
    if (f) {
        fwrite(now.data, 1, now.size, f);
        fclose(f);
    }
}

/* The sanitizers call this before they end the program. */
void __asan_on_error(void);
void __asan_on_error(void)
{
    farewell();
}

static void on_signal(int sig)
{
    say(sig == SIGALRM ? "too slow\n" : "signal\n");
    farewell();
    _exit(98);
}

static void give(const uint8_t *data, size_t size)
{
    now.data = data;
    now.size = size;
    n_inputs++;
    alarm(SECONDS_PER_INPUT);
    LLVMFuzzerTestOneInput(data, size);
    alarm(0);
}

/* xorshift64*: the damage must be the same on every machine. */
static uint64_t next(uint64_t *state)
{
    *state ^= *state >> 12;
    *state ^= *state << 25;
    *state ^= *state >> 27;
    return *state * UINT64_C(2685821657736338717);
}

static uint64_t fnv1a(const uint8_t *p, size_t n)
{
    uint64_t h = UINT64_C(14695981039346656037);

    for (size_t i = 0; i < n; i++)
        h = (h ^ p[i]) * UINT64_C(1099511628211);
    return h | 1;
}

/* Damage `p` in place, at one to four places; returns the new size. Room is for twice the size. */
static size_t damage(uint8_t *p, size_t n, uint64_t *rng)
{
    static const uint32_t nasty[] = { 0,          1,          0x7f,       0x80,       0xff,
                                      0x7fffffff, 0x80000000, 0xffffffff, 0xfffffff8, 0x10000 };
    const int places = 1 + (int)(next(rng) % 4);

    for (int i = 0; i < places && n > 0; i++) {
        /* Headers stand at the start, tables often at the end: half of the places near them. */
        const size_t near = n < 256 ? n : 256;
        const uint64_t zone = next(rng) % 4;
        size_t at = next(rng) % (zone < 2 ? n : near);

        if (zone == 3)
            at = n - 1 - at;
        switch (next(rng) % 5) {
        case 0:
            p[at] ^= (uint8_t)(1u << (next(rng) % 8));
            break;
        case 1:
            p[at] = (uint8_t)next(rng);
            break;
        case 2:
            memcpy(p + at, &nasty[next(rng) % COUNT(nasty)], n - at < 4 ? n - at : 4);
            break;
        case 3: { /* take a piece out */
            const size_t len = 1 + next(rng) % (n - at < 64 ? n - at : 64);

            memmove(p + at, p + at + len, n - at - len);
            n -= len;
            break;
        }
        default: { /* overwrite a piece with another */
            const size_t len = n - at < 32 ? n - at : 32;

            memmove(p + at, p + next(rng) % (n - len + 1), len);
            break;
        }
        }
    }
    return n;
}

static void replay(const char *path, const uint8_t *data, size_t size, int runs)
{
    uint64_t rng = fnv1a(data, size);
    uint8_t *copy = malloc(size ? size : 1);

    if (!copy)
        exit(2);
    snprintf(now.what, sizeof now.what, "%s", path);
    give(data, size);
    for (size_t i = 0; i < CUTS && size > 0; i++) {
        const size_t cut = size < CUTS ? i : size * i / CUTS + next(&rng) % (size / CUTS);

        if (cut >= size)
            break;
        snprintf(now.what, sizeof now.what, "%s cut to %zu bytes", path, cut);
        give(data, cut);
    }
    for (int i = 0; i < runs; i++) {
        if (size)
            memcpy(copy, data, size);
        snprintf(now.what, sizeof now.what, "%s, damage %d", path, i);
        give(copy, damage(copy, size, &rng));
    }
    free(copy);
}

static bool replay_file(const char *path, int runs)
{
    FILE *f = fopen(path, "rb");
    uint8_t *data = NULL;
    struct stat st;
    bool ok = false;

    if (f && fstat(fileno(f), &st) == 0 && (data = malloc((size_t)st.st_size + 1)) != NULL) {
        const size_t n = fread(data, 1, (size_t)st.st_size, f);

        replay(path, data, n, runs);
        ok = true;
    }
    if (!ok)
        perror(path);
    if (f)
        fclose(f);
    free(data);
    return ok;
}

static bool replay_folder(const char *path, int runs)
{
    struct dirent **entry;
    const int n = scandir(path, &entry, NULL, alphasort);
    bool ok = n >= 0;

    for (int i = 0; i < n; i++) {
        char name[4096];

        snprintf(name, sizeof name, "%s/%s", path, entry[i]->d_name);
        if (entry[i]->d_name[0] != '.')
            ok &= replay_file(name, runs);
        free(entry[i]);
    }
    if (n >= 0)
        free(entry);
    return ok;
}

int main(int argc, char **argv)
{
    int runs = 64, c;
    bool ok = true;

    while ((c = getopt(argc, argv, "r:")) != -1) {
        if (c != 'r')
            return 2;
        runs = (int)strtol(optarg, NULL, 10);
    }
    signal(SIGALRM, on_signal);
    signal(SIGABRT, on_signal);
    for (int i = optind; i < argc; i++) {
        struct stat st;

        if (stat(argv[i], &st) == 0 && S_ISDIR(st.st_mode))
            ok &= replay_folder(argv[i], runs);
        else
            ok &= replay_file(argv[i], runs);
    }
    printf("# %ld inputs\n", n_inputs);
    return ok && n_inputs > 0 ? 0 : 1;
}

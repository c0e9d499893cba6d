/* legal.c - helpers of the legalising passes (see legal.h). */
#include "pass/legal.h"

#include <string.h>

#include "base/str.h"

int64_t legal_int(const struct pass_ctx *c, const char *key, int64_t fallback)
{
    const char *text = pass_option(c, key, NULL);
    int64_t v;
    return text && str_to_i64(text, &v) ? v : fallback;
}

bool legal_asks(const struct pass_ctx *c, const char *key, const char *word, bool fallback)
{
    const char *s = pass_option(c, key, NULL);
    const size_t n = strlen(word);
    if (!s)
        return fallback;
    for (;;) {
        const size_t part = strcspn(s, "+");
        if (part == n && memcmp(s, word, n) == 0)
            return true;
        if (s[part] == '\0')
            return false;
        s += part + 1;
    }
}

void legal_perm(const struct node *n, int rank, int64_t *perm)
{
    const struct transpose_attrs *a = n->attrs;
    for (int d = 0; d < rank; d++)
        perm[d] = a->perm.n == rank ? a->perm.v[d] : rank - 1 - d;
}

value_id legal_fold(struct lo *l, value_id v)
{
    bool done = false;
    if (l->st != OK)
        return ABSENT;
    /* The result is replaced through its uses: give it one to find it again. */
    const node_id probe = graph_insert_node(l->g, l->at, OP_identity, &v, 1, 1, NULL);
    l->st = pass_fold_node(l->g, graph_def(l->g, v), l->c->scratch, &done);
    const value_id out = graph_node(l->g, probe)->in[0].v;
    graph_remove_node(l->g, probe);
    return out;
}

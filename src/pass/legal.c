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

bool legal_in_list(const char *s, const char *word, size_t n)
{
    for (;;) {
        const size_t part = strcspn(s, "+");
        if (part == n && memcmp(s, word, n) == 0)
            return true;
        if (s[part] == '\0')
            return false;
        s += part + 1;
    }
}

static bool has_rule(const struct lo_rule *rules, const char *name, size_t n)
{
    for (; rules && rules->fn; rules++) {
        const char *op = op_get(rules->op)->name;
        if (strlen(op) == n && memcmp(op, name, n) == 0)
            return true;
    }
    return false;
}

static enum status check_list(struct graph *g, const struct legal_rules *r, const char *list)
{
    for (const char *s = list;; s++) {
        const size_t n = strcspn(s, "+");
        if (!has_rule(r->own, s, n) && !has_rule(r->shared, s, n)) {
            diag_error(g->diags, DIAG_usage, WHERE_NONE,
                       "ops=%s: no rewrite for an operator \"%.*s\"", list, (int)n, s);
            diag_hint(g->diags, "docs/legalise.md lists what each pass can replace");
            return ERR_USAGE;
        }
        s += n;
        if (*s == '\0')
            return OK;
    }
}

enum status legal_run_ops(struct graph *g, struct pass_ctx *c, const struct legal_rules *r)
{
    const char *list = pass_option(c, "ops", r->usual);
    struct lo_rule chosen[64];
    int n = 0;
    TRY(check_list(g, r, list));
    for (int shared = 0; shared < 2; shared++)
        for (const struct lo_rule *x = shared ? r->shared : r->own; x && x->fn; x++) {
            const char *op = op_get(x->op)->name;
            if (legal_in_list(list, op, strlen(op)) && n < (int)COUNT(chosen) - 1)
                chosen[n++] = *x;
        }
    chosen[n] = (struct lo_rule){ 0, NULL, false };
    return lo_run(g, c, chosen);
}

bool legal_constant(const struct lo *l, value_id v, double *x)
{
    struct tensor t;
    if (!has_value(v) || graph_value(l->g, v)->enc || !graph_const_tensor(l->g, v, &t) ||
        (!dtype_is_float(t.dtype) && !dtype_is_int(t.dtype)) || tensor_elements(&t) < 1)
        return false;
    *x = tensor_get_f64(&t, 0);
    return rw_const_all(l->g, v, *x);
}

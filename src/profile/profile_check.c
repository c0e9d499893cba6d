/* profile_check.c - a network against the rules of a profile. */
#include <string.h>

#include "profile/predicate.h"

static const struct rule not_taken = {
    .id = "operator",
    .cause = "the target has no such operator",
    .severity = SEV_ERROR,
};

static bool listed(const struct strs *s, const char *word)
{
    for (int i = 0; i < s->n; i++)
        if (strcmp(s->v[i], word) == 0)
            return true;
    return false;
}

static bool is_border(const struct view_op *op)
{
    return op->spell[0] == '@';
}

static bool names_op(const struct rule *r, const struct view_op *op)
{
    if (listed(&r->except, op->spell))
        return false;
    return listed(&r->ops, op->spell) || (!is_border(op) && listed(&r->ops, "*"));
}

/* Do all conditions hold? One that says nothing does not. */
static bool all_hold(struct arena *a, const struct conditions *c, const struct view *v,
                     const struct view_op *op)
{
    for (size_t i = 0; i < c->n; i++)
        if (condition_ask(a, &c->v[i], v, op).verdict != HOLDS)
            return false;
    return true;
}

static void add(struct arena *a, struct violations *out, struct violation x)
{
    if (x.operand >= 0) {
        const struct view_op *op = x.op;
        const struct view_tensor *t = x.is_output            ? op->out[x.operand]
                                      : x.operand < op->n_in ? op->in[x.operand]
                                                             : NULL;

        x.operand_name = t ? t->name : NULL;
    }
    out->v = arena_grow(a, out->v, out->n, out->n + 1, &out->cap, sizeof *out->v);
    out->v[out->n++] = x;
    if (x.rule->severity == SEV_ERROR)
        out->n_errors++;
    else
        out->n_warnings++;
}

static void apply(struct arena *a, const struct rule *r, const struct view *v,
                  const struct view_op *op, struct violations *out)
{
    if (!names_op(r, op) || !all_hold(a, &r->when, v, op) ||
        (r->unless.n && all_hold(a, &r->unless, v, op)))
        return;
    struct violation x = {
        .rule = r, .op = op, .operand = -1, .cure = r->cure, .rewrite = r->rewrite
    };

    for (size_t i = 0; i < r->require.n; i++) {
        const struct answer ans = condition_ask(a, &r->require.v[i], v, op);

        if (ans.verdict != FAILS)
            continue;
        x.operand = ans.operand;
        x.is_output = ans.is_output;
        x.found = ans.found;
        add(a, out, x);
        return;
    }
    if (r->require.n == 0)
        add(a, out, x);
}

static void check_operator(struct arena *a, const struct profile *p, const struct rule *missing,
                           const struct view_op *op, struct violations *out)
{
    struct violation x = { .rule = missing, .op = op, .operand = -1, .cure = p->operators_cure };

    for (int i = 0; i < p->refused.n; i++)
        if (strcmp(p->refused.v[i], op->spell) == 0)
            x.cure = p->cures.v[i];
    for (int i = 0; i < p->rewritten.n; i++)
        if (strcmp(p->rewritten.v[i], op->spell) == 0)
            x.rewrite = p->rewrites_of.v[i];
    add(a, out, x);
}

void profile_check_view(struct arena *a, const struct view *v, const struct profile *p,
                        struct violations *out)
{
    struct rule *missing = arena_dup(a, &not_taken, sizeof not_taken);

    missing->source = p->operators_source;
    *out = (struct violations){ .view = v };
    for (size_t i = 0; i < v->n_ops; i++) {
        const struct view_op *op = v->op[i];

        out->n_ops += !is_border(op);
        if (!is_border(op) && p->operators.n && !listed(&p->operators, op->spell)) {
            check_operator(a, p, missing, op, out);
            continue;
        }
        for (size_t k = 0; k < p->n_rules; k++)
            apply(a, &p->rules[k], v, op, out);
    }
}

void profile_check(struct arena *a, const struct graph *g, const struct profile *p,
                   struct violations *out)
{
    struct view *v = ARENA_NEW(a, struct view);

    view_init(v, a, g->file, p->formats.n ? p->formats.v[0] : g->format);
    view_graph(v, g);
    profile_check_view(a, v, p, out);
}

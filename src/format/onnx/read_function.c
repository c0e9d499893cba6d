/* read_function.c - model-local functions, expanded where they are called.
 *
 * A function is looked up by domain, name and overload. Its body sees only its own inputs; an
 * attribute with ref_attr_name takes the caller's value, else the function's default, else is
 * absent. Reading a node of the body with such attributes resolved is map.c's call_open().
 */
#include <stdio.h>
#include <string.h>

#include "format/onnx/read.h"

static const char *function_key(struct onnx_reader *r, const char *domain, const char *name,
                                const char *overload)
{
    const size_t n = strlen(domain) + strlen(name) + strlen(overload) + 3;
    if (n > r->cap_key) {
        r->cap_key = 2 * n;
        r->key = arena_alloc(r->f.arena, r->cap_key);
    }
    snprintf(r->key, r->cap_key, "%s:%s:%s", domain, name, overload);
    return r->key;
}

static void index_functions(struct onnx_reader *r)
{
    for (size_t i = 0; i < r->m.n_function; i++) {
        const struct onnx_function *u = &r->m.function[i];
        strmap_put(&r->functions, function_key(r, u->domain, u->name, u->overload), (uint32_t)i);
    }
}

const struct onnx_function *onnx_find_function(struct onnx_reader *r, const struct onnx_node *n)
{
    uint32_t i;
    if (r->m.n_function == 0)
        return NULL;
    if (r->functions.n == 0)
        index_functions(r);
    const char *key = function_key(r, n->domain, n->op_type, n->overload);
    return strmap_get(&r->functions, key, &i) ? &r->m.function[i] : NULL;
}

struct saved {
    uint32_t barrier;
    int64_t opset;
    const struct onnx_opset *domains;
    size_t n_domains;
    const struct onnx_node *caller;
    const struct onnx_function *callee;
};

static struct saved save(const struct onnx_reader *r)
{
    return (struct saved){ r->barrier, r->opset, r->domains, r->n_domains, r->caller, r->callee };
}

static void restore(struct onnx_reader *r, const struct saved *s)
{
    r->barrier = s->barrier;
    r->opset = s->opset;
    r->domains = s->domains;
    r->n_domains = s->n_domains;
    r->caller = s->caller;
    r->callee = s->callee;
}

/* The caller's attributes may themselves refer to its own caller's: resolve them once, here. */
static struct onnx_node *resolve_call(struct onnx_reader *r, const struct onnx_node *n)
{
    struct onnx_node *c = arena_dup(r->f.arena, n, sizeof *n);
    c->attr = ARENA_ARRAY(r->f.arena, struct onnx_attr, n->n_attr + 1);
    c->n_attr = 0;
    for (size_t i = 0; i < n->n_attr; i++)
        if (onnx_resolve_attr(r, &n->attr[i], &c->attr[c->n_attr]))
            c->n_attr++;
    return c;
}

bool onnx_resolve_attr(const struct onnx_reader *r, const struct onnx_attr *a,
                       struct onnx_attr *out)
{
    *out = *a;
    if (!a->ref)
        return true;
    const struct onnx_attr *given = r->caller ? onnx_find_attr(r->caller, a->ref) : NULL;
    for (size_t i = 0; !given && r->callee && i < r->callee->n_def; i++)
        if (strcmp(r->callee->def[i].name, a->ref) == 0)
            given = &r->callee->def[i];
    if (!given)
        return false;
    *out = *given;
    out->name = a->name;
    out->ref = NULL;
    return true;
}

static void enter_function(struct onnx_reader *r, const struct onnx_function *u,
                           const struct onnx_node *call)
{
    const int64_t outer = r->opset;
    r->caller = call;
    r->callee = u;
    r->barrier = r->level;
    r->domains = u->opset;
    r->n_domains = u->n_opset;
    r->opset = u->n_opset ? 0 : outer;
    for (size_t i = 0; i < u->n_opset; i++)
        if (strcmp(u->opset[i].domain, "") == 0)
            r->opset = u->opset[i].version;
}

enum status onnx_inline(struct onnx_reader *r, const struct onnx_function *u,
                        const struct onnx_node *n, region_id region)
{
    const struct saved outer = save(r);
    size_t mark;
    if (++r->depth > ONNX_MAX_DEPTH)
        return diag_error(r->f.diags, DIAG_limit, onnx_where(r, n),
                          "functions call each other more than %d deep", ONNX_MAX_DEPTH);
    if (n->n_in > u->n_in || n->n_out > u->n_out)
        return diag_error(r->f.diags, DIAG_arity, onnx_where(r, n),
                          "function \"%s\" takes %zu operands and makes %zu results", u->name,
                          u->n_in, u->n_out);
    value_id *out = ARENA_ARRAY(r->f.arena, value_id, n->n_out + 1);
    value_id *in = ARENA_ARRAY(r->f.arena, value_id, n->n_in + 1);
    for (size_t j = 0; j < n->n_in; j++)
        in[j] = n->in[j] ? onnx_lookup(r, n->in[j]) : ABSENT;
    const struct onnx_node *call = resolve_call(r, n);
    onnx_enter(r, &mark);
    enter_function(r, u, call);
    for (size_t j = 0; j < n->n_in; j++)
        onnx_bind(r, u->in[j], in[j]);
    for (size_t j = n->n_in; j < u->n_in; j++)
        onnx_bind(r, u->in[j], ABSENT);
    TRY(onnx_read_nodes(r, u->body, region));
    for (size_t j = 0; j < n->n_out; j++) {
        out[j] = onnx_lookup(r, u->out[j]);
        if (n->out[j] && !has_value(out[j]))
            return diag_error(r->f.diags, DIAG_graph, onnx_where(r, n),
                              "output \"%s\" of the function is made by no node",
                              onnx_name(&r->f, u->out[j]));
    }
    onnx_leave(r, mark);
    restore(r, &outer);
    r->depth--;
    for (size_t j = 0; j < n->n_out; j++)
        onnx_name_value(r, n->out[j], out[j]);
    return OK;
}

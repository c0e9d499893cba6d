/* shape_cases.c - is the shape we infer ever wrong? Asked of ONNX's test cases.
 *
 *     shape_cases DIR...
 *
 * Each case's model is inferred twice: with the inputs' shapes as the file states them, and with every
 * dim of every input a symbol of its own. The results' types are compared with the expected output
 * files; symbols and expressions are worked out with the sizes of the input files. Prints "WRONG
 * NAME: what" for each contradiction, then how many dims were known.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/file.h"
#include "format/format.h"
#include "format/onnx/tensor_pb.h"

struct totals {
    long cases, read, wrong, dims, known_static, known_symbolic;
};

/* Sizes of the free symbols, by name. */
struct sizes {
    const struct graph *g;
    const struct strmap *size;
};

static bool size_of(const struct sizes *s, dim_t d, int64_t *out)
{
    int64_t a, b;
    uint32_t v;

    if (known_number(d, out))
        return true;
    if (!known_is_symbol(d) || (size_t)(DIM_SYMBOL0 - d) >= s->g->n_symbols)
        return false;
    const struct symbol *y = &s->g->symbol[DIM_SYMBOL0 - d];
    if (!y->op) {
        if (!strmap_get(s->size, y->name, &v))
            return false;
        *out = v;
        return true;
    }
    if (!size_of(s, y->a, &a) || !size_of(s, y->b, &b))
        return false;
    if (strchr("/%c", y->op) && b == 0)
        return false;
    switch (y->op) {
    case '+':
        *out = a + b;
        return true;
    case '*':
        *out = a * b;
        return true;
    case '/':
        *out = a / b - (a % b != 0 && (a < 0) != (b < 0));
        return true;
    case '%':
        *out = a % b;
        return true;
    case 'c':
        *out = (a + b - 1) / b;
        return true;
    case 'M':
        *out = a > b ? a : b;
        return true;
    case 'm':
        *out = a < b ? a : b;
        return true;
    case 'b':
        *out = a == 1 ? b : a;
        return true;
    default:
        return false;
    }
}

static bool load(struct arena *a, const char *path, int kind, struct diags *ds, struct tensor *t)
{
    struct blob *b;

    memset(t, 0, sizeof(*t));
    return path_is_file(path) && blob_map(a, path, ds, &b) == OK &&
           onnx_value_read(a, b->data, b->bytes, kind, ds, path, t) == OK;
}

/* Contradictions of one result with what it should be; *known counts dims that are said. */
static int check(const struct sizes *s, const struct value *v, const struct tensor *e, long *known,
                 const char *what)
{
    const struct type *t = &v->type;
    int wrong = 0;

    if (e->kind != TYPE_TENSOR || t->kind != TYPE_TENSOR)
        return 0;
    if (t->dtype != DT_NONE && t->dtype != e->dtype) {
        printf("WRONG %s: type is %s, said %s\n", what, dtype_name(e->dtype), dtype_name(t->dtype));
        wrong++;
    }
    if (t->rank == RANK_UNKNOWN)
        return wrong;
    if (t->rank != e->rank) {
        printf("WRONG %s: rank is %d, said %d\n", what, e->rank, t->rank);
        return wrong + 1;
    }
    for (int d = 0; d < e->rank; d++) {
        int64_t n;
        if (!size_of(s, t->dim[d], &n))
            continue;
        ++*known;
        if (n == e->dim[d])
            continue;
        const char *name = graph_symbol_name(s->g, t->dim[d]);
        printf("WRONG %s: dim %d is %" PRId64 ", said %" PRId64 " (%s)\n", what, d, e->dim[d], n,
               name ? name : "number");
        wrong++;
    }
    return wrong;
}

/* Every dim of every input becomes a symbol whose size is that of the data. */
static void make_symbolic(struct arena *a, struct graph *g, const char *dir, struct strmap *size)
{
    const struct region *r = graph_region(g, MAIN_REGION);

    for (size_t i = 0; i < r->n_inputs; i++) {
        struct value *x = graph_value(g, r->inputs[i]);
        struct tensor t;
        if (x->type.kind != TYPE_TENSOR ||
            !load(a, arena_printf(a, "%s/input_%zu.pb", dir, i), TYPE_TENSOR, g->diags, &t))
            continue;
        x->type = tensor_type(&t);
        for (int d = 0; d < t.rank; d++) {
            const char *name = arena_printf(a, "s%zu_%d", i, d);
            x->type.dim[d] = graph_symbol(g, name);
            strmap_put(size, name, (uint32_t)t.dim[d]);
        }
    }
}

static int check_all(struct arena *a, struct graph *g, const char *dir, const struct strmap *size,
                     long *known, long *dims, const char *what)
{
    const struct node *y = graph_yield_node(g, MAIN_REGION);
    const struct sizes s = { g, size };
    int wrong = 0;

    for (int i = 0; i < y->n_in; i++) {
        struct tensor e;
        if (!has_value(y->in[i].v))
            continue;
        const struct value *v = graph_value(g, y->in[i].v);
        if (!load(a, arena_printf(a, "%s/output_%d.pb", dir, i), v->type.kind, g->diags, &e))
            continue;
        if (dims && e.kind == TYPE_TENSOR)
            *dims += e.rank;
        wrong += check(&s, v, &e, known, what);
    }
    return wrong;
}

static void run_case(struct totals *n, const char *parent, const char *name)
{
    struct arena *a = arena_new();
    struct diags *ds = ARENA_NEW(a, struct diags);
    const struct read_options o = { .quiet = true };
    const char *folder = path_join(a, parent, name);
    const char *dir = path_join(a, folder, "test_data_set_0");
    struct strmap size;

    diags_init(ds, a);
    strmap_init(&size, a);
    struct graph *g = graph_new(ds);
    n->cases++;
    if (path_is_dir(dir) && format_read_file(g, path_join(a, folder, "model.onnx"), &o) == OK) {
        n->read++;
        int wrong = check_all(a, g, dir, &size, &n->known_static, &n->dims, name);
        make_symbolic(a, g, dir, &size);
        if (graph_infer(g) != OK) {
            const struct diag *d = ds->n ? &ds->v[ds->n - 1] : NULL;
            printf("WRONG %s: refused with symbols: %s\n", name, d ? d->message : "");
            wrong++;
        } else {
            wrong += check_all(a, g, dir, &size, &n->known_symbolic, NULL, name);
        }
        n->wrong += wrong != 0;
    }
    graph_free(g);
    arena_free(a);
}

int main(int argc, char **argv)
{
    struct totals n = { 0 };

    for (int i = 1; i < argc; i++) {
        struct arena *a = arena_new();
        struct diags ds;
        const char **names;
        size_t count = 0;

        diags_init(&ds, a);
        if (path_list(a, argv[i], &ds, &names, &count) != OK)
            return 2;
        for (size_t k = 0; k < count; k++)
            run_case(&n, argv[i], names[k]);
        arena_free(a);
    }
    printf(
        "# %ld cases, %ld read, %ld wrong; of %ld result dims known: %ld from the file's shapes, "
        "%ld from symbols\n",
        n.cases, n.read, n.wrong, n.dims, n.known_static, n.known_symbolic);
    return n.wrong ? 1 : 0;
}

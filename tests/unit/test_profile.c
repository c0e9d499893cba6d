/* test_profile.c - profiles: what is refused in one, each predicate on a graph, those built in. */
#include <stdlib.h>

#include "base/blob.h"
#include "ir_help.h"
#include "profile/predicate.h"

#define HEAD "id: t\ntitle: T\nsource: S\nformats: [onnx]\n"
#define RULE HEAD "rules:\n  - {id: r, source: s, op: \"*\", cure: c, "

static const char *load(struct fixture *f, const char *text, const struct profile **p)
{
    *p = NULL;
    profile_parse(f->arena, text, strlen(text), "p.yaml", &f->diags, p);
    return said(f);
}

/* -- what is refused ---------------------------------------------------------------------------- */
static const struct {
    const char *text, *message;
} bad[] = {
    { "[1]", "p.yaml: error: line 1: a profile is {id: ..., title: ..., rules: ...} [file]\n" },
    { "id: t\n", "p.yaml: error: line 1: \"title\" is missing [file]\n" },
    { HEAD "rule: []\n", "p.yaml: error: line 5: unknown key \"rule\" [file]\n"
                         "  hint: did you mean \"rules\"?\n" },
    { RULE "require: [{ranck: {max: 4}}]}\n",
      "p.yaml: error: line 6: unknown predicate \"ranck\" [file]\n"
      "  hint: did you mean \"rank\"?\n" },
    { RULE "require: [{rank: {maxx: 4}}]}\n", "p.yaml: error: line 6: unknown key \"maxx\" [file]\n"
                                              "  hint: did you mean \"max\"?\n" },
    { RULE "require: [{rank: {axis: 0, max: 4}}]}\n",
      "p.yaml: error: line 6: unknown key \"axis\" [file]\n" },
    { RULE "require: [{rank: {of: imput 1, max: 4}}]}\n",
      "p.yaml: error: line 6: unknown tensors \"imput\" [file]\n"
      "  hint: did you mean \"input\"?\n" },
    { RULE "require: [{rank: {of: input}}]}\n",
      "p.yaml: error: line 6: unknown tensors \"input\" [file]\n"
      "  hint: did you mean \"input\"?\n" },
    { RULE "require: [{rank: {of: all}}]}\n", "p.yaml: error: line 6: nothing is asked: give min, "
                                              "max, multiple, in or not-in [file]\n" },
    { RULE "require: [{rank: {min: 4, max: 3}}]}\n",
      "p.yaml: error: line 6: min 4 is above max 3 [file]\n" },
    { RULE "require: [{rank: {in: [four]}}]}\n",
      "p.yaml: error: line 6: a string stands where a number is expected [file]\n" },
    { RULE "require: [{rank: {multiple: 0}}]}\n",
      "p.yaml: error: line 6: \"multiple\" is not a number from 1 [file]\n" },
    { RULE "require: [{const: {is: 1}}]}\n",
      "p.yaml: error: line 6: true or false is expected [file]\n" },
    { RULE "require: [{rank: {max: 4}, dtype: {in: [i8]}}]}\n",
      "p.yaml: error: line 6: a condition is one predicate with its parameters [file]\n" },
    { RULE "severity: warnings, require: [{rank: {max: 4}}]}\n",
      "p.yaml: error: line 6: unknown severity \"warnings\" [file]\n"
      "  hint: did you mean \"warning\"?\n" },
    { RULE "when: [{rank: {max: 4}}]}\n",
      "p.yaml: error: line 6: rule \"r\" requires nothing and names no cause [file]\n" },
    { RULE "rewrite: legal-x, require: [{rank: {max: 4}}]}\n",
      "p.yaml: error: line 6: rule \"r\" is cured by \"legal-x\", which \"rewrites\" does not run "
      "[file]\n" },
    { RULE "require: [{rank: {max: 4}}]}\n  - {id: r, source: s, op: A, cure: c, cause: d}\n",
      "p.yaml: error: line 7: rule \"r\" stands already at line 6 [file]\n" },
    { HEAD "quant: {source: s, per-channel: [convv]}\n",
      "p.yaml: error: line 5: unknown operator of ours \"convv\" [file]\n"
      "  hint: did you mean \"conv\"?\n" },
    { HEAD "quant: {source: s, fixed: [{op: tanh, storage: i8, scale: 0, zero-point: 0}]}\n",
      "p.yaml: error: line 5: a scale above 0 and a whole zero point are expected [file]\n" },
    { HEAD "quant: {source: s, fixed: [{op: tanh, storage: i8, scale: 1, zero-point: 128}]}\n",
      "p.yaml: error: line 5: the zero point does not fit into the storage [file]\n" },
    { HEAD "quant: {source: s, fixed: [{op: tanh, storage: i32, scale: 1, zero-point: 0}]}\n",
      "p.yaml: error: line 5: activations are stored as i8, u8, i16 or u16 [file]\n" },
    { HEAD "quant: {source: s, pairs: [{activation: i8, weight: i9}]}\n",
      "p.yaml: error: line 5: \"i9\" is no element type [file]\n" },
    { HEAD "operators: {source: s, cure: c, take: []}\n",
      "p.yaml: error: line 5: \"take\" names no operator [file]\n" },
};

static void test_refused(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(bad); i++) {
        struct fixture f;
        const struct profile *p;

        setup(&f);
        assert_string_equal(load(&f, bad[i].text, &p), bad[i].message);
        teardown(&f);
    }
}

/* -- predicates --------------------------------------------------------------------------------- */
#define NINE "0x0p+0, 0x0p+0, 0x0p+0, 0x0p+0, 0x0p+0, 0x0p+0, 0x0p+0, 0x0p+0, 0x0p+0"
#define GRAPH                                                                                      \
    "slip 1\n"                                                                                     \
    "opset 17\n"                                                                                   \
    "graph \"g\" (%x : f32[1,1,6,6], %n : f32[batch,4]) {\n"                                       \
    "  %w = const f32[4,1,3,3] {" NINE ", " NINE ", " NINE ", " NINE "}\n"                         \
    "  %a = conv(%x, %w) {strides=[2,2], pads=[1,1,1,1]} \"first\"\n"                              \
    "  %b = transpose(%a) {perm=[0,2,3,1]} \"turn\"\n"                                             \
    "  %c = relu(%b) \"act\"\n"                                                                    \
    "  %d = sigmoid(%n) \"gate\"\n"                                                                \
    "  yield %c, %d\n"                                                                             \
    "}\n"

/* One rule on the graph above; the violations as "node: found". */
static const struct {
    const char *rule, *want;
} asked[] = {
    { "op: conv, require: [{rank: {of: all, max: 3}}]", "first: rank 4, expected at most 3\n" },
    { "op: conv, require: [{rank: {of: all, max: 4}}]", "" },
    { "op: conv, require: [{dim: {of: input 1, axis: 0, multiple: 8}}]",
      "first: dim 4, expected a multiple of 8\n" },
    { "op: conv, require: [{dim: {of: input 1, axis: -1, in: [1, 2]}}]",
      "first: dim 3, expected one of 1, 2\n" },
    { "op: conv, require: [{batch: {of: input 1, max: 1}}]",
      "first: batch 4, expected at most 1\n" },
    { "op: relu, require: [{elements: {max: 3}}]", "act: elements 36, expected at most 3\n" },
    { "op: relu, require: [{large-dims: {max: 2}}]", "act: large-dims 3, expected at most 2\n" },
    { "op: relu, require: [{rows: {max: 8}}]", "act: rows 9, expected at most 8\n" },
    { "op: relu, require: [{dims-but-two: {max: 8}}]",
      "act: dims-but-two 12, expected at most 8\n" },
    { "op: conv, require: [{dtype: {of: all, in: [i8, u8]}}]",
      "first: dtype f32, expected one of i8, u8\n" },
    { "op: conv, require: [{const: {of: input 1, is: false}}]", "first: const: yes\n" },
    { "op: conv, require: [{const: {of: input 1, is: true}}]", "" },
    { "op: conv, require: [{present: {of: input 2}}]", "first: present: no\n" },
    { "op: \"*\", require: [{static: {of: all}}]", "gate: static: no\n" },
    { "op: [\"@input\"], require: [{static: {of: all}}]", "n: static: no\n" },
    { "op: [\"@output\"], require: [{rank: {max: 2}}]", "c: rank 4, expected at most 2\n" },
    { "op: relu, require: [{quantised: {of: output 0}}]", "act: quantised: no\n" },
    { "op: transpose, require: [{permutation: {in: [\"0,1,2,3\"]}}]",
      "turn: permutation 0,2,3,1, expected 0,1,2,3\n" },
    { "op: conv, require: [{attribute: {name: strides, max: 1}}]",
      "first: strides 2, expected at most 1\n" },
    { "op: conv, require: [{attribute: {name: group, in: [1]}}]", "" },
    { "op: conv, require: [{choice: {name: auto_pad, not-in: [NOTSET]}}]",
      "first: auto_pad NOTSET, expected not NOTSET\n" },
    { "op: conv, require: [{operands: {min: 3}}]", "first: operands 2, expected at least 3\n" },
    { "op: relu, require: [{results: {max: 0}}]", "act: results 1, expected at most 0\n" },
    { "op: relu, require: [{consumers: {of: output 0, min: 2}}]",
      "act: consumers 1, expected at least 2\n" },
    { "op: relu, require: [{producer: {in: [conv]}}]", "act: producer transpose, expected conv\n" },
    { "op: relu, require: [{reader: {of: output 0, in: [conv]}}]",
      "act: reader @output, expected conv\n" },
    { "op: conv, require: [{kernel: {max: 2}}]", "first: kernel 3, expected at most 2\n" },
    { "op: conv, require: [{kernel-height: {max: 2}}]",
      "first: kernel-height 3, expected at most 2\n" },
    { "op: conv, require: [{kernel-area: {max: 8}}]",
      "first: kernel-area 9, expected at most 8\n" },
    { "op: conv, require: [{same-shape: {of: all}}]", "first: same-shape: no\n" },
    { "op: relu, require: [{same-shape: {of: all}}, {same-dtype: {of: all, is: false}}]",
      "act: same-dtype: yes\n" },
    { "op: relu, require: [{opset: {min: 18}}]", "act: opset 17, expected at least 18\n" },
    { "op: relu, require: [{model-quantised: {is: true}}]", "act: model-quantised: no\n" },
    /* when, unless, some, except; a rule that requires nothing */
    { "op: \"*\", except: [relu, sigmoid], when: [{rank: {max: 4}}], cause: no",
      "first: -\nturn: -\n" },
    { "op: \"*\", unless: [{rank: {min: 3}}], cause: no", "gate: -\n" },
    { "op: conv, when: [{dim: {of: input 7, axis: 0, in: [1]}}], cause: no", "" },
    { "op: conv, require: [{dim: {of: all, axis: 1, in: [4], some: true}}]", "" },
    { "op: conv, require: [{dim: {of: all, axis: 1, in: [5], some: true}}]",
      "first: dim 1, expected 5\n" },
};

static void test_predicates(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(asked); i++) {
        struct fixture f;
        struct violations v;
        const struct profile *p;
        struct str s;

        setup(&f);
        const struct graph *g = graph_of(&f, GRAPH);

        assert_string_equal(
            load(&f,
                 arena_printf(f.arena, HEAD "rules:\n  - {id: r, source: s, cure: c, %s}\n",
                              asked[i].rule),
                 &p),
            "");
        profile_check(f.arena, g, p, &v);
        str_init(&s, f.arena);
        for (size_t k = 0; k < v.n; k++)
            str_addf(&s, "%s: %s\n", v.v[k].op->name, v.v[k].found ? v.v[k].found : "-");
        assert_string_equal(str_text(&s), asked[i].want);
        assert_int_equal(v.n_ops, 4);
        teardown(&f);
    }
}

/* -- the library's own -------------------------------------------------------------------------- */
static void test_builtin(void **state)
{
    const char *text, *name;
    size_t n;
    struct fixture f;
    const struct profile *p;

    (void)state;
    setup(&f);
    for (size_t k = 0; (name = profile_builtin(k, &text, &n)) != NULL; k++) {
        assert_int_equal(profile_load(f.arena, name, &f.diags, &p), OK);
        assert_string_equal(p->id, name);
        assert_true(p->n_rules > 0);
    }
    assert_int_equal(profile_load(f.arena, "bstm", &f.diags, &p), OK);
    assert_string_equal(p->id, "npu-4d");
    assert_int_equal(profile_load(f.arena, "npu-4", &f.diags, &p), ERR_USAGE);
    assert_string_equal(said(&f), "error: no target is called \"npu-4\" [usage]\n"
                                  "  hint: did you mean \"npu-4d\"?\n");
    teardown(&f);
}

/* -- the pages that list them -------------------------------------------------------------------- */
static const char *page(struct arena *a, const char *name)
{
    const char *root = getenv("SLIPWAY_SOURCE");
    struct blob *b;

    if (!root)
        skip();
    assert_int_equal(blob_map(a, arena_printf(a, "%s/docs/%s", root, name), NULL, &b), OK);
    return arena_strn(a, (const char *)b->data, b->bytes);
}

static void test_pages(void **state)
{
    struct fixture f;
    const struct profile *p;
    const char *text, *name;
    size_t n;

    (void)state;
    setup(&f);
    for (size_t k = 0; (name = profile_builtin(k, &text, &n)) != NULL; k++) {
        struct str row;

        assert_int_equal(profile_load(f.arena, name, &f.diags, &p), OK);
        str_init(&row, f.arena);
        str_addf(&row, "\n| `%s`", p->id);
        for (int i = 0; i < p->aliases.n; i++)
            str_addf(&row, ", `%s`", p->aliases.v[i]);
        str_addf(&row, " | %s | %s |\n", p->formats.v[0], p->title);
        if (!strstr(page(f.arena, "check.md"), str_text(&row)))
            fail_msg("docs/check.md lacks the row %s", str_text(&row));
    }
    for (int i = 0; i < PRED_COUNT; i++) {
        const char *row = arena_printf(f.arena, "\n| `%s` | ", predicate_defs[i].name);

        if (!strstr(page(f.arena, "howto/new-target.md"), row) ||
            !strstr(page(f.arena, "howto/new-target.md"), predicate_defs[i].doc))
            fail_msg("docs/howto/new-target.md lacks the row of %s", predicate_defs[i].name);
    }
    teardown(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_predicates),
        cmocka_unit_test(test_builtin),
        cmocka_unit_test(test_pages),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* test_op_infer.c - shapes and known values through the shape operators, and what they refuse. */
#include "ir_help.h"

/* Inputs, nodes that end in %y, and the type of %y (a text with a space: what is said of it). */
struct row {
    const char *inputs, *lines, *want;
};

/* clang-format off */
static const struct row shapes[] = {
    /* reshape */
    { "%x : f32[N,6]", "%t = const i64[2] {-1, 3}\n%y = reshape(%x, %t)", "f32[2*N,3]" },
    { "%x : f32[N,6]", "%t = const i64[3] {0, 2, -1}\n%y = reshape(%x, %t)", "f32[N,2,3]" },
    { "%x : f32[N,C,H,W]", "%t = const i64[3] {0, 0, -1}\n%y = reshape(%x, %t)", "f32[N,C,H*W]" },
    { "%x : f32[*]", "%t = const i64[2] {-1, 3}\n%y = reshape(%x, %t)", "f32[?,3]" },
    { "%x : f32[4], %t : i64[3]", "%y = reshape(%x, %t)", "f32[?,?,?]" },
    { "%x : f32[0,3]", "%t = const i64[2] {3, 0}\n%y = reshape(%x, %t) {allowzero=1}", "f32[3,0]" },
    { "%x : f32[2,3]", "%t = const i64[2] {4, -1}\n%y = reshape(%x, %t)",
      "input 1 \"shape\": error: 6 elements do not divide by the other dims, 4 [shape]" },
    { "%x : f32[2,3]", "%t = const i64[2] {-1, -1}\n%y = reshape(%x, %t)",
      "input 1 \"shape\": error: elements 0 and 1 are both -1 [shape]" },
    { "%x : f32[2,3]", "%t = const i64[2] {2, 2}\n%y = reshape(%x, %t)",
      "input 1 \"shape\": error: asks for 4 elements, the data has 6 [shape]" },
    { "%x : f32[2]", "%t = const i64[2] {2, 0}\n%y = reshape(%x, %t)",
      "input 1 \"shape\": error: element 1 is 0 (copy the dim), but the data has rank 1 [shape]" },
    { "%x : f32[2]", "%t = const i64[9] {1,1,1,1,1,1,1,1,2}\n%y = reshape(%x, %t)",
      "input 1 \"shape\": error: rank 9 is above 8 [limit]" },
    /* views */
    { "%x : f32[N,2,3]", "%y = flatten(%x) {axis=-2}", "f32[N,6]" },
    { "%x : f32[N,2,3]", "%y = flatten(%x) {axis=0}", "f32[1,6*N]" },
    { "%x : f32[1,N,1]", "%a = const i64[1] {-1}\n%y = squeeze(%x, %a)", "f32[1,N]" },
    { "%x : f32[1,2,1]", "%y = squeeze(%x)", "f32[2]" },
    { "%x : f32[1,N,1]", "%y = squeeze(%x)", "f32[*]" },
    { "%x : f32[2,3]", "%a = const i64[1] {0}\n%y = squeeze(%x, %a)",
      "input 0 \"data\": error: dim 0 is 2, expected 1 [shape]" },
    { "%x : f32[N]", "%a = const i64[2] {0, -1}\n%y = unsqueeze(%x, %a)", "f32[1,N,1]" },
    { "%x : f32[N]", "%a = const i64[2] {0, 0}\n%y = unsqueeze(%x, %a)",
      "input 1 \"axes\": error: axis 0 is given twice [value]" },
    { "%x : f32[N,C,2]", "%y = transpose(%x) {perm=[2,0,1]}", "f32[2,N,C]" },
    { "%x : f32[N,C]", "%y = transpose(%x) {perm=[1,1]}", "error: perm is no permutation of 0 to 1 [attr]" },
    /* slices */
    { "%x : f32[N,8]", "%s = const i64[2] {1, -3}\n%e = const i64[2] {9223372036854775807, -1}\n%y = slice(%x, %s, %e)",
      "f32[max(0,N-1),2]" },
    { "%x : f32[N]", "%s = const i64[1] {-1}\n%e = const i64[1] {-9223372036854775808}\n%a = const i64[1] {0}\n"
      "%t = const i64[1] {-1}\n%y = slice(%x, %s, %e, %a, %t)", "f32[N]" },
    { "%x : f32[N]", "%s = const i64[1] {0}\n%e = const i64[1] {2147483647}\n%a = const i64[1] {0}\n"
      "%t = const i64[1] {2}\n%y = slice(%x, %s, %e, %a, %t)", "f32[div(N+1,2)]" },
    { "%x : f32[9]", "%s = const i64[1] {7}\n%e = const i64[1] {-100}\n%a = const i64[1] {0}\n"
      "%t = const i64[1] {-3}\n%y = slice(%x, %s, %e, %a, %t)", "f32[3]" },
    { "%x : f32[9]", "%s = const i64[1] {0}\n%e = const i64[1] {1}\n%a = const i64[1] {0}\n%t = const i64[1] {0}\n"
      "%y = slice(%x, %s, %e, %a, %t)", "input 4 \"steps\": error: step 0 is 0 [value]" },
    { "%x : f32[9,9]", "%s = const i64[2] {0, 0}\n%e = const i64[1] {1}\n%y = slice(%x, %s, %e)",
      "input 1 \"starts\": error: 2 starts, 1 ends, 2 axes, 2 steps for a rank of 2 [shape]" },
    { "%x : f32[4,N]", "%s = const i64[1] {1}\n%e = const i64[1] {2}\n%y = slice(%x, %s, %e) {shrink_mask=1}", "f32[N]" },
    /* joins */
    { "%x : f32[N,2], %z : f32[M,2]", "%y = concat(%x, %z) {axis=0}", "f32[M+N,2]" },
    { "%x : f32[N,2], %z : f32[3,4]", "%y = concat(%x, %z) {axis=1}", "f32[3,6]" },
    { "%x : f32[2,2], %z : f32[3,4]", "%y = concat(%x, %z) {axis=1}",
      "input 1 \"inputs\": error: dim 0 is 3, expected 2 [shape]" },
    { "%x : f32[7]", "%y, %b, %c = split(%x) {num_outputs=3}", "f32[3]" },
    { "%x : f32[7]", "%a, %b, %y = split(%x) {num_outputs=3}", "f32[1]" },
    { "%x : f32[7]", "%s = const i64[2] {3, 3}\n%y, %b = split(%x, %s)",
      "input 1 \"split\": error: sizes add up to 6, the dim is 7 [shape]" },
    /* index, fill, pad */
    { "%x : f32[N,4], %i : i64[2,K]", "%y = gather(%x, %i) {axis=1}", "f32[N,2,K]" },
    { "%x : f32[N,4,5], %i : i64[N,7,1]", "%y = gather_nd(%x, %i) {batch_dims=1}", "f32[N,7,5]" },
    { "%x : f32[2,3], %i : i64[2,4]", "%y = gather_elements(%x, %i)",
      "input 1 \"indices\": error: dim 1 is 4, input 0 has 3 [shape]" },
    { "%x : f32[N,4], %u : f32[2,3]", "%i = const i64[2,1] {0, 1}\n%y = scatter_nd(%x, %i, %u)",
      "input 2 \"updates\": error: dim 1 is 3, expected 4 [shape]" },
    { "%x : f32[N,4]", "%p = const i64[4] {1, -1, 2, 0}\n%y = pad(%x, %p)", "f32[N+3,3]" },
    { "%x : f32[2,4]", "%p = const i64[4] {0, -3, 0, -2}\n%y = pad(%x, %p)",
      "input 1 \"pads\": error: crops 3 and 2 off dim 1, which is 4 [value]" },
    { "%x : f32[N,4]", "%p = const i64[3] {1, -1, 2}\n%y = pad(%x, %p)",
      "input 1 \"pads\": error: has 3 pads, expected 4 for 2 axes [shape]" },
    { "%x : f32[N,1]", "%s = const i64[3] {5, 1, 3}\n%y = expand(%x, %s)", "f32[5,N,3]" },
    { "%x : f32[N,2]", "%s = const i64[2] {3, 2}\n%y = tile(%x, %s)", "f32[3*N,4]" },
    { "%i : i64[N]", "%d = const i64[] {5}\n%v = const f32[2] {0, 1}\n%y = one_hot(%i, %d, %v) {axis=0}", "f32[5,N]" },
    { "%x : f32[N,9]", "%k = const i64[1] {3}\n%y, %i = top_k(%x, %k)", "f32[N,3]" },
    { "%x : f32[N,9]", "%k = const i64[1] {10}\n%y, %i = top_k(%x, %k)",
      "input 1 \"K\": error: is 10, dim 1 has 9 [value]" },
    { "%x : f32[N,8,H,W]", "%y = depth_to_space(%x) {blocksize=2}", "f32[N,2,2*H,2*W]" },
    { "%x : f32[1,6,2,2]", "%y = depth_to_space(%x) {blocksize=2}",
      "input 0 \"input\": error: dim 1 is 6, not a multiple of 4 [shape]" },
    { "%x : f32[N,4,4,3]", "%b = const i64[2] {2, 2}\n%p = const i64[2,2] {1, 1, 0, 0}\n%y = space_to_batch_nd(%x, %b, %p)",
      "f32[4*N,3,2,3]" },
    { "%x : f32[N,4,5]", "%a = const i64[1] {-1}\n%y = reduce_sum(%x, %a) {keepdims=0}", "f32[N,4]" },
    { "%x : f32[N,4], %a : i64[1]", "%y = reduce_sum(%x, %a)", "f32[?,?]" },
    { "%x : f32[N,0]", "%y = arg_max(%x) {axis=1}",
      "input 0 \"data\": error: dim 1 is 0: there is nothing to choose from [shape]" },
    { "%x : f32[2], %s : f32[3]", "%y = prelu(%x, %s)",
      "error: dims 2 and 3 at 0 do not broadcast: expected equal, or one of them 1 [shape]" },
    { "%x : f32[1], %s : f32[3]", "%y = prelu(%x, %s)",
      "input 1 \"slope\": error: does not broadcast to input 0: dim 0 is 3, expected 1 or 1 [shape]" },
    { "%x : f32[2], %s : f32[2]", "%z = const u8[3] {0, 0, 0}\n%y = quantize_linear(%x, %s, %z) {axis=0}",
      "input 2 \"y_zero_point\": error: has 3 elements, the scale 2 [shape]" },
    { "%x : f32[2,5], %s : f32[2,2]", "%y = quantize_linear(%x, %s) {axis=1, block_size=2}",
      "input 1 \"y_scale\": error: dim 1 is 2, expected 3 blocks of 2 [shape]" },
    { "%x : string[2]", "%y = cast(%x) {to=f32}",
      "input 0 \"input\": error: a cast from string to f32 is not supported [unsupported]" },
    /* found by fuzzing */
    { "%x : f32[1,5,5,1]", "%b = const i64[1] {2}\n%p = const i64[1,2] {3, 9223372036854775807}\n%y = space_to_batch_nd(%x, %b, %p)",
      "pad 1 is 9223372036854775807" },
    { "%x : i64[3]", "%d = const f32[] {nan(0x7fc00000)}\n%v = const f32[2] {0x0p+0, 0x1p+0}\n%y = one_hot(%x, %d, %v)", "is no number of places" },
    { "%x : f32[2]", "%s = sequence_construct(%x, %x)\n%y = relu(%s)", "is a sequence, expected a tensor" },
    { "%x : f32[2]", "%y = sequence_length(%x)", "is a tensor, expected a sequence" },
    { "%x : f32[2]", "%o = optional(%x)\n%y = split_to_sequence(%o)", "is an optional, expected a tensor" },
    { "%x : f32[2]", "%o = optional(%x)\n%y = optional(%o)", "is an optional already" },
    { "%x : f32[2,4,3], %u : f32[2,1,3], %i : i64[1]", "%y = tensor_scatter(%x, %u, %i)", "input 2" },
    { "%x : f32[1,5,5], %i : i64[2]", "%b = const i64[2] {1, 5}\n%y = col2im(%x, %i, %b)", "f32[1,?,?,?]" },
    { "%x : f32[N,5,5], %b : i64[2]", "%i = const i64[2] {5, 6}\n%y = col2im(%x, %i, %b)", "f32[N,?,5,6]" },
};

/* Known elements: the shape that %y takes comes through arithmetic on other shapes. */
static const struct row arithmetic[] = {
    { "%x : f32[N,C,H,W]", "%s = shape(%x)\n%y = constant_of_shape(%s)", "f32[N,C,H,W]" },
    { "%x : f32[N,C,H,W]", "%s = shape(%x) {start=-2}\n%y = constant_of_shape(%s)", "f32[H,W]" },
    { "%x : f32[N,C,H,W]", "%s = shape(%x)\n%a = const i64[1] {1}\n%e = const i64[1] {3}\n%t = slice(%s, %a, %e)\n"
      "%y = constant_of_shape(%t)", "f32[C,H]" },
    { "%x : f32[N,8]", "%s = shape(%x)\n%two = const i64[] {2}\n%t = mul(%s, %two)\n%y = constant_of_shape(%t)", "f32[2*N,16]" },
    { "%x : f32[N,8]", "%s = shape(%x)\n%two = const i64[] {2}\n%t = div(%s, %two)\n%y = constant_of_shape(%t)", "f32[div(N,2),4]" },
    { "%x : f32[N,8]", "%s = shape(%x)\n%m = const i64[] {-3}\n%t = sub(%s, %m)\n%y = constant_of_shape(%t)", "f32[N+3,11]" },
    { "%x : f32[N,8]", "%s = shape(%x)\n%p = const i64[1] {0}\n%t = reduce_prod(%s, %p)\n%y = constant_of_shape(%t)", "f32[8*N]" },
    { "%x : f32[N,8]", "%n = size(%x)\n%a = const i64[1] {0}\n%t = unsqueeze(%n, %a)\n%y = constant_of_shape(%t)", "f32[8*N]" },
    { "%x : f32[N,8]", "%s = shape(%x)\n%a, %b = split(%s)\n%t = concat(%b, %a) {axis=0}\n%y = constant_of_shape(%t)", "f32[8,N]" },
    { "%x : f32[N,8]", "%s = shape(%x)\n%c = cast(%s) {to=i32}\n%d = cast(%c) {to=i64}\n%y = constant_of_shape(%d)", "f32[N,8]" },
    { "%x : f32[N,8]", "%s = shape(%x)\n%i = const i64[] {0}\n%g = gather(%s, %i)\n%z = const i64[] {0}\n%o = const i64[] {1}\n"
      "%y = range(%z, %g, %o)", "i64[N]" },
    /* expand as PyTorch writes it: a dim of -1 stays as it is */
    { "%x : f32[N,1]", "%t = const i64[2] {-1, 4}\n%one = const i64[2] {1, 1}\n%m = const i64[] {-1}\n%c = equal(%t, %m)\n"
      "%s = where(%c, %one, %t)\n%y = expand(%x, %s)", "f32[N,4]" },
    { "%x : f32[N,1], %z : f32[M]", "%s = shape(%z)\n%k = const i64[1] {4}\n%t = concat(%s, %k) {axis=0}\n%m = const i64[] {-1}\n"
      "%one = const i64[2] {1, 1}\n%c = equal(%t, %m)\n%u = where(%c, %one, %t)\n%y = constant_of_shape(%u)", "f32[M,4]" },
    { "%x : f32[N]", "%s = shape(%x)\n%e = const i64[1] {5}\n%t = min(%s, %e)\n%y = constant_of_shape(%t)", "f32[min(5,N)]" },
    { "%x : f32[N]", "%s = shape(%x)\n%e = neg(%s)\n%t = neg(%e)\n%y = constant_of_shape(%t)", "f32[N]" },
    { "%x : f32[N,4], %z : f32[N,9]", "%s = shape(%x)\n%a = const i64[1] {0}\n%b = const i64[1] {1}\n%n = slice(%s, %a, %b)\n"
      "%k = const i64[1] {-1}\n%t = concat(%n, %k) {axis=0}\n%y = reshape(%z, %t)", "f32[N,9]" },
    { "%x : f32[?,4]", "%s = shape(%x)\n%y = constant_of_shape(%s)", "f32[?,4]" },
};
/* clang-format on */

/* Every row is tried; what differs is printed. */
static void check(const struct row *rows, size_t n)
{
    struct fixture f;
    int faults = 0;

    setup(&f);
    for (size_t i = 0; i < n; i++) {
        const char *text = arena_printf(f.arena, "graph (%s) {\n%s\nyield %%y\n}\n", rows[i].inputs,
                                        rows[i].lines);
        struct graph *g;
        const char *got = try_graph(&f, text, &g) == OK ? type_of(&f, g, named(g, "y")) : said(&f);

        if (strcmp(got, rows[i].want) == 0 ||
            (strchr(rows[i].want, ' ') && strstr(got, rows[i].want)))
            continue;
        print_error("%s\n  is       %s\n  expected %s\n", rows[i].lines, got, rows[i].want);
        faults++;
    }
    teardown(&f);
    assert_int_equal(faults, 0);
}

static void test_shapes(void **state)
{
    (void)state;
    check(shapes, COUNT(shapes));
}

static void test_arithmetic(void **state)
{
    (void)state;
    check(arithmetic, COUNT(arithmetic));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_shapes),
        cmocka_unit_test(test_arithmetic),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

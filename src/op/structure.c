/* structure.c - what holds a graph together and is not arithmetic. */
#include "op/defs.h"

/* The yield has no results: its operands are the region's. */
static enum status yield_infer(struct infer *in)
{
    (void)in;
    return OK;
}

const struct op_def op_yield = {
    .name = "yield",
    .doc = "The outputs of a region.",
    .family = "structure",
    .max_in = MANY,
    OP_IN(R_OPT_KINDS("output", DTM_ANY)),
    .infer = yield_infer,
};

static const struct attr_def foreign_rows[] = {
    A_STRING(struct foreign_attrs, domain, "domain of the operator's name"),
    A_STRING(struct foreign_attrs, op_type, "name of the operator"),
    A_INT(struct foreign_attrs, version, 0, 0, 0, "version of its domain"),
    A_BLOB(struct foreign_attrs, raw, "its attributes as the source had them"),
    { 0 },
};
_Static_assert(sizeof(((struct foreign_attrs *)0)->raw) == sizeof(struct attr_blob),
               "raw is read as an attr_blob");

/* Nothing is known about its results but what the file says of them: types stay as they are. */
static enum status foreign_infer(struct infer *in)
{
    (void)in;
    return OK;
}

const struct op_def op_foreign = {
    .name = "foreign",
    .doc = "An operator we do not know: kept by name, neither run nor rewritten.",
    .family = "structure",
    .max_in = MANY,
    .max_out = MANY,
    .attrs_size = sizeof(struct foreign_attrs),
    .attrs = foreign_rows,
    OP_IN(R_OPT_KINDS("input", DTM_ANY)),
    OP_OUT(R_("output", DTM_ANY)),
    .infer = foreign_infer,
};

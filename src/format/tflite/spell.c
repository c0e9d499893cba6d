/* spell.c - how TFLite spells our operators, for lists. */
#include "format/tflite/tfl_read.h"
#include "format/tflite/tfl_write.h"
#include "format/tflite/tflite.h"

const char *tflite_spell_read(enum op_id op)
{
    for (size_t i = 0; i < n_read_rows; i++)
        if (read_rows[i].op == op && read_rows[i].code != B_CUSTOM)
            return tfl_code_name(NULL, read_rows[i].code);
    return NULL;
}

const char *tflite_spell_write(enum op_id op)
{
    const struct write_row *row = wr_row(op);
    return row && row->code >= 0 && op != OP_foreign ? tfl_code_name(NULL, row->code) : NULL;
}

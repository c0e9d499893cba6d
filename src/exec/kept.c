/* kept.c - values of a run kept for later. */
#include "exec/kept.h"

#include <string.h>

#include "base/blob.h"

enum { MEMORY_FOR_KEPT = 64 << 20 };

struct kept *kept_new(struct kept_room *room, uint32_t n)
{
    struct kept *k = ARENA_NEW(room->arena, struct kept);

    k->room = room;
    k->n = n;
    k->value = ARENA_ARRAY(room->arena, struct tensor, (size_t)n + 1);
    k->bytes = ARENA_ARRAY(room->arena, size_t, (size_t)n + 1);
    return k;
}

static enum status make_room(struct kept *k, uint32_t i, size_t bytes)
{
    struct kept_room *r = k->room;
    void *data;

    if (k->value[i].data && bytes <= k->bytes[i])
        return OK;
    if (bytes <= MEMORY_FOR_KEPT && r->memory <= MEMORY_FOR_KEPT - bytes) {
        data = arena_alloc(r->arena, bytes + 1);
        r->memory += bytes;
    } else {
        if (!r->spill)
            r->spill = spill_new(r->arena);
        TRY(spill_alloc(r->spill, bytes + 1, r->diags, &data));
        r->file += bytes;
    }
    k->value[i].data = data;
    k->bytes[i] = bytes;
    return OK;
}

enum status kept_put(struct kept *k, uint32_t i, const struct tensor *t)
{
    void *data;

    if (t->kind != TYPE_TENSOR || t->dtype == DT_string)
        return OK;
    TRY(make_room(k, i, t->bytes));
    data = k->value[i].data;
    memcpy(data, t->data, t->bytes);
    k->value[i] = *t;
    k->value[i].data = data;
    return OK;
}

const struct tensor *kept_get(const struct kept *k, uint32_t i)
{
    return i < k->n && k->value[i].data ? &k->value[i] : NULL;
}

/* profile_fit.c - see profile_fit.h. Apart from the quantiser's other files: a profile's rules and the
 * quantiser's have the same name. */
#include "quant/profile_fit.h"

#include <string.h>

#include "profile/profile.h"

struct fit {
    struct quant_settings *s;
    const struct quant_options *o;
    const struct profile_quant *q;
    struct arena *a;
    struct diags *ds;
};

/* Who asked for the setting: an option, or the scheme. */
static const char *who(const struct fit *f, const char *name)
{
    for (size_t i = f->o->n_set; i-- > 0;)
        if (strcmp(f->o->set[i].name, name) == 0)
            return f->o->set[i].source;
    return arena_printf(f->a, f->o->settings ? "%s, scheme %s" : "%sscheme %s",
                        f->o->settings ? f->o->settings : "", f->o->scheme);
}

static enum status conflict(const struct fit *f, const char *name, const char *asks,
                            const char *takes)
{
    const struct profile *p = f->o->profile;

    diag_error(f->ds, DIAG_target, WHERE_NONE, "%s asks for %s, but target %s takes %s",
               who(f, name), asks, p->id, takes);
    if (f->q->default_scheme)
        diag_hint(f->ds, "its own scheme is %s; the rule is from: %s", f->q->default_scheme,
                  f->q->source ? f->q->source : p->file);
    else
        diag_hint(f->ds, "the rule is from: %s", f->q->source ? f->q->source : p->file);
    return ERR_UNSUPPORTED;
}

static enum status fit_sign(const struct fit *f, enum profile_sign sign, const char **symmetry,
                            const char *name, const char *what)
{
    static const char *const words[] = { NULL, "symmetric", "asymmetric" };
    const char *want = words[sign];

    if (!want || strcmp(*symmetry, want) == 0)
        return OK;
    if (strcmp(*symmetry, "auto") == 0) {
        *symmetry = want;
        return OK;
    }
    return conflict(f, name, arena_printf(f->a, "%s %s", *symmetry, what),
                    arena_printf(f->a, "%s ones only", want));
}

static bool takes_unsigned_weights(const struct profile_quant *q)
{
    for (size_t i = 0; i < q->n_pairs; i++)
        if (q->pairs[i].weight == DT_u8)
            return true;
    return q->n_pairs == 0;
}

static enum status fit_weights(const struct fit *f)
{
    if (strcmp(f->s->weights.storage, "uint") != 0)
        return fit_sign(f, f->q->weight_sign, &f->s->weights.symmetry, "weights.symmetry",
                        "weights");
    if (!takes_unsigned_weights(f->q))
        return conflict(f, "weights.storage", "unsigned weights", "signed ones only");
    return OK;
}

static const char *spell_pairs(const struct fit *f)
{
    struct str s;

    str_init(&s, f->a);
    for (size_t i = 0; i < f->q->n_pairs; i++)
        str_addf(&s, "%s%s with %s", i ? ", " : "", dtype_name(f->q->pairs[i].activation),
                 dtype_name(f->q->pairs[i].weight));
    return arena_printf(f->a, "%s (activations with weights)", str_text(&s));
}

static enum status fit_pairs(const struct fit *f)
{
    struct quant_settings *s = f->s;
    bool any = f->q->n_pairs == 0;

    s->pairs = ARENA_ARRAY(f->a, struct width_pair, f->q->n_pairs + 1);
    for (size_t i = 0; i < f->q->n_pairs; i++) {
        const struct width_pair p = { dtype_bits(f->q->pairs[i].activation),
                                      dtype_bits(f->q->pairs[i].weight) };

        s->pairs[s->n_pairs++] = p;
        any |= p.activation == s->activations.bits && p.weight == s->weights.bits;
    }
    s->pairs_said = spell_pairs(f);
    if (any)
        return OK;
    return conflict(f, s->activations.bits == 8 ? "weights.bits" : "activations.bits",
                    arena_printf(f->a, "%d-bit activations with %d-bit weights",
                                 (int)s->activations.bits, (int)s->weights.bits),
                    s->pairs_said);
}

static void fit_fixed(const struct fit *f)
{
    const size_t n = f->q->n_fixed;
    struct fixed_result *x = ARENA_ARRAY(f->a, struct fixed_result, n + 1);

    for (size_t i = 0; i < n; i++)
        x[i] = (struct fixed_result){ f->q->fixed[i].op, f->q->fixed[i].storage,
                                      f->q->fixed[i].scale, f->q->fixed[i].zero };
    f->s->fixed = x;
    f->s->n_fixed = n;
}

enum status quant_fit_profile(struct quant_settings *s, const struct quant_options *o,
                              struct arena *a, struct diags *ds)
{
    const struct fit f = { s, o, &o->profile->quant, a, ds };

    if (!f.q->given)
        return OK;
    s->target = o->profile->id;
    TRY(fit_sign(&f, f.q->activation_sign, &s->activations.symmetry, "activations.symmetry",
                 "activations"));
    TRY(fit_weights(&f));
    TRY(fit_pairs(&f));
    if (strcmp(s->weights.granularity, "channel") == 0 && f.q->n_per_channel == 0)
        return conflict(&f, "weights.granularity", "a scale for each channel",
                        "one for each tensor");
    s->limit_channels = true;
    s->per_channel = f.q->per_channel;
    s->n_per_channel = f.q->n_per_channel;
    s->shared = f.q->shared;
    s->n_shared = f.q->n_shared;
    fit_fixed(&f);
    return OK;
}

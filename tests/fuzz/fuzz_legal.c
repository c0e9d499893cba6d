/* fuzz_legal.c - hostile graphs through every rewrite that a target may ask for. */
#include "fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    fuzz_model("slip", data, size,
               "legal-int32,legal-gather,legal-act{ops=erf+gelu+mish+clip+leaky_relu+prelu+elu},"
               "legal-arith{ops=div+pow+sqrt+neg+abs},legal-norm,legal-pad{conv=all max_pool=all},"
               "legal-tile,legal-group-conv,legal-connected,legal-mean{max=2 side=3},"
               "legal-resize{keep=none},legal-rank{max=3},legal-batch,"
               "legal-transpose{perms=021 pieces=40},fix(fold,identity,noop,views,cse,dce)");
    return 0;
}

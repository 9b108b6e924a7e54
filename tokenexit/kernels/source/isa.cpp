// All kernels for one instruction set; compiled once for each with TOKENEXIT_ISA as its name.
#include "decode_api.h"
#include "encoder_run.h"
#include "rows.h"
#include "table.h"
#include "watch.h"

#define TOKENEXIT_JOIN(A, B) A##B
#define TOKENEXIT_TABLE(ISA) TOKENEXIT_JOIN(table_, ISA)
#define TOKENEXIT_TEXT(X) TOKENEXIT_TEXT_OF(X)
#define TOKENEXIT_TEXT_OF(X) #X

namespace tokenexit {

extern const Table TOKENEXIT_TABLE(TOKENEXIT_ISA) = {
    TOKENEXIT_TEXT(TOKENEXIT_ISA),
#define TOKENEXIT_ENTRY(RESULT, NAME, PARAMETERS, NAMES) &TOKENEXIT_ISA::NAME,
    TOKENEXIT_KERNELS(TOKENEXIT_ENTRY)
#undef TOKENEXIT_ENTRY
};

} // namespace tokenexit

/* session.h - what the API functions share. */
#ifndef DRIVER_SESSION_H
#define DRIVER_SESSION_H

#include "driver/job.h"

/* Run fn(arg) behind the API border: out of memory becomes SLIP_NOMEM, diagnostics are emitted. */
slip_status session_call(slip_session *s, enum status (*fn)(void *), void *arg);
/* A new empty graph, freed with the session. */
struct graph *session_graph(slip_session *s);

#endif

/* Injected faults (fault.h), which requests meet with DS_TEST_ENDPOINTS=1. */
#ifndef OP_FAULT_H
#define OP_FAULT_H

#include <stdbool.h>

struct ds_exchange;

/* The path at which clients set faults; op.h has the operations. */
#define OP_FAULT_PATH "/_test/inject-error"

/*
 * Called before the operation: looks up and counts a fault for this request, and sets
 * exchange->fault. True when the caller no longer owns the exchange: it waits at the live desk and
 * continues with resume(), or was answered because of an error.
 */
bool op_fault_meet(struct ds_exchange *exchange, void (*resume)(struct ds_exchange *exchange));

/* Called after the delay. True when the fault has ended the exchange: by a cut connection, or by an
   error status. */
bool op_fault_strike(struct ds_exchange *exchange);

#endif

/* Requests and the faults that were injected for them (fault.h), with DS_TEST_ENDPOINTS=1. */
#ifndef OP_FAULT_H
#define OP_FAULT_H

#include <stdbool.h>

struct ds_exchange;

/* Where faults are set over HTTP; op.h has these operations. */
#define OP_FAULT_PATH "/_test/inject-error"

/*
 * Before anything else: does the request meet a fault? Then it is counted, and exchange->fault says
 * so. True when the exchange is gone: it waits, and goes on with resume(), or could not be looked
 * up.
 */
bool op_fault_meet(struct ds_exchange *exchange, void (*resume)(struct ds_exchange *exchange));

/* After the wait. True when the exchange is over: it was dropped, or answered with a status. */
bool op_fault_strike(struct ds_exchange *exchange);

#endif

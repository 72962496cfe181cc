/* Finds the operation for a request: the table of paths and methods. */
#ifndef ROUTE_H
#define ROUTE_H

struct ds_exchange;

/* Takes over an exchange whose request is complete (parameters and body). The gateway must not
   touch it afterwards. Any worker's thread. */
void route(struct ds_exchange *exchange);

#endif

/* From an exchange to its operation: the table of paths and methods. */
#ifndef ROUTE_H
#define ROUTE_H

struct ds_exchange;

/* Takes an exchange whose request is complete (parameters and body), and sees it through. */
void route(struct ds_exchange *exchange);

#endif

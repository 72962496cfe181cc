/*
 * The program that delivers webhooks, durable-streams-deliver: a program of its own, since it needs
 * an HTTP client. It is found in the folder of this program, or where it was installed.
 */
#ifndef DELIVERER_H
#define DELIVERER_H

#include <stdbool.h>

/* Is it installed? */
bool deliverer_is_here(void);

/* Becomes that program. once: it delivers what is due, and ends. Returns only if it is not
   there. */
void deliverer_become(bool once);

#endif

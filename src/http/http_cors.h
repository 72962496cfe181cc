/*
 * CORS (Fetch standard, section 3.2): pages of which origins may see an answer, and which headers
 * they may send.
 *
 *     DS_CORS_ORIGIN        what answers say
 *     *, or one origin      that, to everybody
 *     several               the one that asks, if it is among them, and Vary: Origin in any case
 *     empty                 nothing
 */
#ifndef HTTP_CORS_H
#define HTTP_CORS_H

struct buf;
struct config;

/*
 * The request's Origin (NULL: it has none) as one of several in the settings, where it lives as
 * long as they do; NULL if it is none of them, or there are not several.
 */
const char *http_cors_origin(const struct config *config, const char *asked);

/* The lines that every answer has; origin comes from http_cors_origin(). */
void http_cors_add(struct buf *head, const struct config *config, const char *origin);

/*
 * For the answer to a preflight: the methods and headers that a page may send. wanted is the
 * request's Access-Control-Request-Headers, or NULL.
 */
void http_cors_add_preflight(struct buf *head, const struct config *config, const char *methods,
                             const char *wanted);

#endif

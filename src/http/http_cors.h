/*
 * CORS (Fetch standard, section 3.2): which origins' pages may read an answer, and which headers
 * they may send. Pure, thread-safe.
 *
 *     DS_CORS_ORIGIN        Access-Control-Allow-Origin of the answers
 *     *, or one origin      that value, for every request
 *     several origins       the request's origin if it is one of them; always Vary: Origin
 *     empty                 none, and no other CORS header
 */
#ifndef HTTP_CORS_H
#define HTTP_CORS_H

struct buf;
struct config;

/*
 * Looks up the request's Origin (NULL: it has none) among several in the settings, and returns the
 * settings' own text, which lives as long as they do. NULL if it is not one of them, or if the
 * settings have fewer than two.
 */
const char *http_cors_origin(const struct config *config, const char *asked);

/* Adds the lines that every answer has; origin comes from http_cors_origin(). */
void http_cors_add(struct buf *head, const struct config *config, const char *origin);

/*
 * Adds the methods and headers that a page may use, for the answer to a preflight request. wanted
 * is the request's Access-Control-Request-Headers, or NULL.
 */
void http_cors_add_preflight(struct buf *head, const struct config *config, const char *methods,
                             const char *wanted);

#endif

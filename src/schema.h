/* The SQL of sql/, embedded by sql/embed.sh. */
#ifndef SCHEMA_H
#define SCHEMA_H

/* The migrations: user_version counts those that were applied. */
extern const char *const schema_migrations[];
extern const int schema_version;

enum { SCHEMA_FAULTS = 2 }; /* the one that makes the table of faults, and nothing else */

/* What writes the registry: made where there is one, after the last migration as well. */
extern const char schema_registry_on[];
extern const char schema_registry_off[];

#endif

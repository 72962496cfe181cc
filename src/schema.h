/* The SQL of sql/, embedded by sql/embed.sh. */
#ifndef SCHEMA_H
#define SCHEMA_H

/* The migrations: user_version counts those that were applied. */
extern const char *const schema_migrations[];
extern const int schema_version;

/* What writes the registry: made where there is one, after the last migration as well. */
extern const char schema_registry_on[];
extern const char schema_registry_off[];

#endif

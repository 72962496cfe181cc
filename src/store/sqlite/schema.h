/* The SQL of sql/, embedded by sql/embed.sh. */
#ifndef SCHEMA_H
#define SCHEMA_H

/* PRAGMA user_version of databases of this program. Earlier ones were never released. */
enum { SCHEMA_VERSION = 6 };

extern const char schema_schema[]; /* tables, indexes and triggers of a new database */
extern const char schema_views[];  /* its views */

/* The triggers that write the registry: created with it. */
extern const char schema_registry[];

/* The table of faults: created when faults are wanted. */
extern const char schema_faults[];

/* The tables of subscriptions: created by the first one. */
extern const char schema_subscriptions[];

/* The table of keys that sign webhooks: created by the first process that delivers them. */
extern const char schema_webhook_keys[];

#endif

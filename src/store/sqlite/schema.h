/* The SQL of sql/, embedded by sql/embed.sh. */
#ifndef SCHEMA_H
#define SCHEMA_H

/* user_version of the databases of this program. Those before it were never released. */
enum { SCHEMA_VERSION = 6 };

extern const char schema_schema[]; /* tables, indexes, triggers: in a new database */
extern const char schema_views[];  /* with them */

/* What writes the registry: there while there is one. */
extern const char schema_registry[];

/* The table of faults: there while clients are tested, or something is in it. */
extern const char schema_faults[];

#endif

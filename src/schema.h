/* The migrations of sql/, embedded by sql/embed.sh. user_version counts those that were applied. */
#ifndef SCHEMA_H
#define SCHEMA_H

extern const char *const schema_migrations[];
extern const int schema_version;

#endif

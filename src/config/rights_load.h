/*
 * Reads auth.roles and auth.rights.
 */
#ifndef RINGTICK_CONFIG_RIGHTS_LOAD_H
#define RINGTICK_CONFIG_RIGHTS_LOAD_H

#include "config/reader.h"

/* When the schema is finished, and all other settings are read.  Returns 0, or
 * an error with r->err set. */
int rights_load(struct reader *r);

#endif

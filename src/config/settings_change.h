/*
 * A configuration that is read again while the daemon runs: what can change
 * takes effect, what cannot is named.
 */
#ifndef RINGTICK_CONFIG_SETTINGS_CHANGE_H
#define RINGTICK_CONFIG_SETTINGS_CHANGE_H

#include <stdbool.h>
#include <stddef.h>

#include "config/settings.h"

/*
 * Whether `loaded` can be adopted as a whole.  false, with one line in err: if
 * the tables differ, or if what would change does not fit with what stays.
 */
bool settings_can_adopt(const struct settings *running,
			const struct settings *loaded, char *err,
			size_t err_len);

/*
 * Finds, from number *at on (0 to begin), a setting that differs and keeps its
 * running value until a restart; moves *at past it.  Writes "ring.size=64M",
 * with the running value, to buf.  false: there is no more.
 */
bool settings_next_kept(const struct settings *running,
			const struct settings *loaded, unsigned *at, char *buf,
			size_t buf_len);

/*
 * Exchanges what can change: *loaded has the old values then, and is the
 * caller's to free with settings_fini when no connection has its rights any
 * more.  Allocates nothing.
 */
void settings_adopt(struct settings *running, struct settings *loaded);

#endif

#include "config.h"

#include "auth/user_name.h"

#include <stdbool.h>
#include <string.h>

#include "config/settings.h"

static bool
has_control(const char *text, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if ((unsigned char)text[i] < ' ' || text[i] == 127)
			return true;
	return false;
}

static bool
has_outer_blank(const char *text, size_t len)
{
	return len > 0 && (text[0] == ' ' || text[len - 1] == ' ');
}

const char *
user_name_fault(const char *name, size_t len)
{
	if (len == 0)
		return "is empty: write it before the colon";
	if (len > USER_BYTES_MAX)
		return "is longer than 127 bytes, and a client with such a "
		       "name is refused: choose a shorter one";
	if (has_control(name, len))
		return "has a control character: remove it";
	if (has_outer_blank(name, len))
		return "begins or ends with a space: remove it";
	if (memchr(name, ':', len) != NULL)
		return "has a colon, and the password begins there: choose "
		       "another name";
	if (name[0] == '#')
		return "begins with '#', but there are no comments here: "
		       "remove the line";
	return NULL;
}

const char *
password_fault(const char *password, size_t len)
{
	if (len == 0)
		return "is empty, which would let everybody in: give it one";
	if (len > PASSWORD_BYTES_MAX)
		return "is longer than 511 bytes: choose a shorter one";
	if (len > 0 && password[len - 1] == '\r')
		return "ends with a carriage return: write lines as Unix "
		       "does";
	if (has_control(password, len))
		return "has a control character: remove it";
	if (has_outer_blank(password, len))
		return "begins or ends with a space: remove it";
	return NULL;
}

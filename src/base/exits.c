#include "config.h"

#include "base/exits.h"

#include <errno.h>

enum exit_status
exit_status_of(int err)
{
	switch (err) {
	case ENOMEM:
	case ENOSPC:
	case EDQUOT:
	case EFBIG:
	case EMFILE:
	case ENFILE:
		return EXIT_ROOM;
	case EACCES:
	case EINVAL:
	case EISDIR:
	case ELOOP:
	case ENAMETOOLONG:
	case ENOENT:
	case ENOSYS:
	case ENOTDIR:
	case EPERM:
	case EROFS:
		return EXIT_MEND;
	case EBADMSG:
	case EIO:
		return EXIT_DISK;
	default:
		return EXIT_OTHER;
	}
}

/*
 * The simulated machine on which the daemon runs, as the world around it sees
 * and disturbs it, and what its parts know of each other.
 */
#ifndef RINGTICK_TESTS_SIM_MACHINE_H
#define RINGTICK_TESTS_SIM_MACHINE_H

#include <sys/stat.h>
#include <sys/types.h>

#include "sim.h"

struct socket;
struct login_pair;

/* ---- the daemon's process (process.c) ---- */

/*
 * Starts the daemon, with the configuration in /etc/ringtick.conf, and returns
 * when it has ended: its exit status, or PROCESS_CRASHED.
 */
int process_run(void);

enum { PROCESS_CRASHED = -1 };

/* From within process_run: the process, or with it the whole machine, is gone
 * at once. */
_Noreturn void process_crash(void);

/* Ends this program, not the simulated one. */
_Noreturn void process_leave(int status);
bool process_is_left(void);

void process_signal(int number);
bool process_is_running(void);

/* Whether it, or the last one, has told systemd that its start is over. */
bool process_is_told_ready(void);

/* Memory that the daemon maps: it ends with the process. */
void process_note_map(void *at, size_t len);
void process_forget_map(void *at, size_t len);
uint64_t process_mapped(void);

/* ---- what its thread does (work.c) ---- */

void work_turn_begins(void);
void work_paused(void); /* it was stopped until now */
/* When it began: ages are told by its clock. */
int64_t work_turn_ns(void);
void work_turn_ends(void);
void work_end(void); /* of the process */
void work_listens(const struct socket *s); /* it waits for something */
void work_heard(const struct socket *s);   /* something was received */
void work_answers(const struct socket *s); /* something is sent */

/* ---- the memory that it has (memory.c) ---- */

/* Which other thread of it works, from 1 on; 0: none. */
void memory_lend(unsigned thread);
void memory_job_ended(unsigned thread);
void memory_printed(const char *line, size_t len);
void memory_check(void);
void memory_check_turn(void); /* between two turns */
void memory_end(void);

/* ---- what the machine tells the world (world.c) ---- */

/* So short that it must wake the daemon when it has nothing else to do. */
#define WATCHDOG_NS (1 * NS_PER_S)

void world_daemon_ready(void);
void world_told_ready(void); /* systemd is */
void world_log(const char *line, size_t len);
void world_watchdog(void);
void world_wrote(void); /* something was appended to a file */

/* ringtick-login is asked about a client, and has answered: its port is 0 if
 * that was asked about an account. */
void world_login_asked(unsigned port, const char *user, const char *password);
enum login_says { SAYS_NOTHING, SAYS_YES, SAYS_NO, SAYS_UNKNOWN };
void world_login_answered(uint32_t host, unsigned port, const char *user,
			  enum login_says what);
void world_sync_failed(void); /* of the journal */
int64_t world_paused_until_ns(void); /* the process is stopped */

/* ---- descriptors ---- */

enum fd_kind {
	FD_FREE,
	FD_FILE,
	FD_SOCKET,
	FD_LISTENER,
	FD_SIGNAL,
	FD_LOG,
	FD_LOGIN, /* one end of the socket pair to ringtick-login */
};

/* Those of the simulated machine begin here; lower ones are real. */
enum { FD_FIRST = 1000, FD_MAX = 512 };

struct descriptor {
	enum fd_kind kind;
	struct inode *inode;
	struct socket *socket;
	struct login_pair *pair;
	uint64_t off;
	bool is_append, is_direct;
};

int fd_open(struct descriptor d); /* -1 with errno: EMFILE */
struct descriptor *fd_get(int fd); /* NULL: not of the simulated machine */
int fd_close(int fd);
void fd_close_all(void);

/* How many of the daemon's connections are such. */
unsigned fd_count(bool (*is_one)(const struct socket *s, const void *key),
		  const void *key);
void fd_check_closed(void); /* all but the log */
void calls_crash(void);

/* ---- sockets ---- */

struct net_faults {
	unsigned torn_per_mille;   /* of transfers that take only a part */
	unsigned accept_per_mille; /* of accepts that fail */
};

extern struct net_faults net_faults;

/* Who uses the other end of a connection. */
struct peer {
	/* Something has happened to the connection: it can be read or written
	 * again, or has ended. */
	void (*wake)(struct peer *p);
};

/* One connection, until both ends have let go of it. */
struct socket {
	struct bytes up;   /* sent by the client, not received yet */
	struct bytes down; /* sent by the daemon, not read by the client */
	size_t up_max, down_max;
	struct peer *peer; /* NULL: the client has let go */
	int fd;		   /* the daemon's; -1: not accepted, or closed */
	unsigned port;
	uint32_t host; /* the client's address, ... */
	unsigned user_no; /* ... and user: see doors.h */
	bool client_ended; /* FIN of the client is behind `up` */
	bool is_reset;
	bool daemon_ended; /* FIN of the daemon is behind `down` */
	bool daemon_deaf;  /* SHUT_RD */
	bool is_told;	   /* the peer's wake is under way */
	unsigned ops;	   /* operations of the engine that wait for it */
};

enum { PORT = 5010, HOST = 0x0a000001 /* 10.0.0.1 */ };

/* To a port of the daemon; NULL: nobody listens there. */
struct socket *net_connect(struct peer *peer, unsigned port);

/* What fits; 0 also if the connection is over. */
size_t net_send(struct socket *s, const void *bytes, size_t len);
size_t net_read(struct socket *s, void *at, size_t len);

/* Whether everything that came was read, and nothing more will come. */
bool net_is_over(const struct socket *s);
void net_end(struct socket *s);	  /* FIN */
void net_leave(struct socket *s); /* closes: RST if something is unread */

/* For the engine: a listener's requests, and what is left of one; NULL: there
 * is none. */
unsigned net_backlog(int fd);
struct socket *net_take_request(int fd);
int net_accept(struct socket *s);
bool net_can_receive(const struct socket *s);
/* Bytes received or -errno. */
int32_t net_receive(struct socket *s, void *at, size_t len);
bool net_can_write(const struct socket *s);
int32_t net_write(struct socket *s, const void *at, size_t len);
void net_close(struct socket *s); /* by the daemon */
void net_shutdown(struct socket *s, int how);
void net_close_listener(int fd);
void net_crash(void); /* all connections of the machine are gone */

/* ---- the engine ---- */

/* Something about a socket has changed: NULL: the listener's. */
void engine_touch(struct socket *s);
void engine_touch_login(const struct login_pair *p);
void engine_post_jobs(unsigned kind); /* enum engine_kind */
void engine_crash(void);

/* ---- the other threads (jobs.c) ---- */

/* A call at a file begins: if a job does it, the world goes on first, and the
 * result is true. */
bool jobs_pause(void);

/* The same for so long; false: no job does it. */
bool jobs_sleep(int64_t for_ns);

/* The process ends, with leave(), which does not return: if a job says that,
 * leave is called on the world's stack. */
void jobs_leave(void (*leave)(void));
void jobs_crash(void);

/* ---- ringtick-login (login.c) ---- */

/* What befalls those that are started from now on. */
struct login_faults {
	unsigned spawn_per_mille; /* that cannot be started */
	unsigned fail_per_mille;  /* that refuse to, or die before READY */
	unsigned mute_per_mille;  /* that never say READY */
	unsigned die_per_mille;	  /* at a request */
	unsigned odd_per_mille;	  /* answers that are none, or come twice */
	unsigned unknown_per_mille;
	int64_t slow_ns; /* the longest time that an answer takes */
};

extern struct login_faults login_faults;

/* Starts that have not succeeded so far. */
unsigned login_failed_starts(void);

/* Whether there is one to ask, and since when that is so. */
bool login_is_ready(void);
int64_t login_moved_ns(void);

/* For the engine: what a read gives, bytes, 0 at the end, or -EAGAIN while
 * there is nothing. */
int32_t login_read(struct login_pair *p, void *at, size_t len);
void login_hold(struct login_pair *p, bool is_held); /* a read is in flight */
bool login_await(struct login_pair *p, int64_t most_ns); /* by a job */
void login_shut(struct login_pair *p);
void login_close_fd(struct login_pair *p, int fd);
void login_crash(void);

/* What is promised of programs that have ended, and of requests. */
void login_check(void);

/* ---- files (fs.c) ---- */

struct disk_faults {
	bool is_full;
	unsigned eio_per_mille;	  /* of writes, and reads of the journal */
	unsigned sync_per_mille;  /* of syncs that fail */
	unsigned short_per_mille; /* of writes that are short */
	int64_t slow_ns;	  /* added to each operation at random */
	uint64_t crash_in;	  /* steps until the process crashes; 0: none */
	bool is_power_loss;	  /* that crash */
	int64_t failed_ns;	  /* when a sync has failed; 0: never */
};

extern struct disk_faults disk;

struct inode *fs_find(const char *path);
bool fs_is_at(const struct inode *i, uint64_t ino);
void fs_put(const char *path, const char *text);

/* On a disk that is always well: another file takes this name, or none if text
 * is NULL; who reads the old one goes on. */
void fs_replace(const char *path, const char *text);
bool fs_is_elsewhere(const struct inode *i);
const struct bytes *fs_bytes(const struct inode *i);
void fs_cut(struct inode *i, uint64_t len);

/* What is not on the disk is lost, but for some of it. */
void fs_lose_power(void);

/* A step of the daemon at a file has begun: it may be its last. */
void fs_count_step(void);

/* As the kernel's; -errno.  Of operations of the engine. */
int64_t fs_write_at(struct inode *i, const void *bytes, size_t len,
		    uint64_t off);
int64_t fs_read_at(const struct inode *i, void *at, size_t len, uint64_t off);
int64_t fs_read_disk(const struct inode *i, void *at, size_t len, uint64_t off);
int fs_sync(struct inode *i);
void fs_sync_names(void);
int fs_truncate(struct inode *i, uint64_t len);
uint64_t fs_size(const struct inode *i);
uint64_t fs_size_on_disk(const struct inode *i);
void fs_stat(const struct inode *i, struct stat *st);
void fs_hold(struct inode *i);
void fs_release(struct inode *i);
int fs_open(const char *path, int flags, struct inode **out);
int fs_link(struct inode *i, const char *path);
int fs_unlink(const char *path);
int fs_rename(const char *from, const char *to, bool is_new_only);
bool fs_lock(struct inode *i, int fd);
void fs_unlock(struct inode *i, int fd);
uint64_t fs_free_bytes(void);
/* The name of entry n of a directory; NULL: there are no more. */
const char *fs_entry(const struct inode *dir, unsigned n);
bool fs_is_directory(const struct inode *i);
const char *fs_path_of(const struct inode *i); /* NULL: it has no name */

#endif

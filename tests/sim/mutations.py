#!/usr/bin/env python3
"""Whether the simulation finds mistakes: each of these changes to src/ is made
in a copy of the sources, one at a time, and ringtick-sim runs seeds until one
fails.

    tests/sim/mutations.py BUILD [--seconds N] [--some N | NAME...]

BUILD is a folder for the copy and its build, BUILD/mutants, which are kept for
the next time.  A mutation is given so many seconds of the processor (120).
With --some as many are tried as can be found in so many seconds, other ones on
each day; at least one must be.

Prints a line for each: who found it, or `survived`.  One of which the list says
why the simulation cannot see it is explained: if a unit test should, the test
must fail.  The status is 1 if a mutation survives without an explanation, or if
seeds fail without any mutation.
"""
import os
import resource
import shutil
import subprocess
import sys
import time

# Name, file, what is there, what takes its place; if the simulation cannot see
# it: why, and perhaps the unit test that does.
MUTATIONS = [
    # a connection and its time
    ("linger-stays-in-catchup", "daemon/session.c",
     "\tcatchup_forget(c);\n\tdelivery_forget(&s->delivery, c);\n"
     "\tc->state = CONNECTION_LINGERING;",
     "\tdelivery_forget(&s->delivery, c);\n\tc->state = CONNECTION_LINGERING;"),
    ("drain-ignores-waiting", "daemon/turn.c",
     "(!drain_is_done(s) || s->waiting_cnt > 0)", "(!drain_is_done(s))",
     "what others wait for is not written or not sent yet, but for moments"),
    ("drain-ignores-replies", "daemon/turn.c",
     "consumer_is_busy(&c->consumer) ||\n\t\t    consumer_lag",
     "consumer_lag", "the lag has the reply that is not sent, too"),
    ("drain-ignores-lag", "daemon/turn.c",
     "||\n\t\t    consumer_lag_bytes(&c->consumer) > 0)", ")"),
    ("recv-while-stopping", "daemon/session.c",
     "(!s->is_stopping || drain_wants(c))", "true"),
    ("no-drain", "daemon/session.c",
     "(!s->is_stopping || drain_wants(c))", "!s->is_stopping"),
    ("watchdog-whole-period", "base/notify.c",
     "NS_PER_US / 2", "NS_PER_US"),
    ("watchdog-each-turn", "daemon/turn.c",
     "s->watchdog_ns > 0 && s->now_ns >= s->next_watchdog_ns)",
     "s->watchdog_ns > 0)"),
    ("watchdog-not-in-wait", "daemon/turn.c",
     "\tif (s->watchdog_ns > 0)\n\t\tuntil = min_i64(until, "
     "s->next_watchdog_ns);\n", ""),
    ("must-queue-never", "daemon/wait.c",
     "return c->is_feed && first", "return false && first",
     "an update is overtaken only for moments",
     "tests/unit/daemon/test_session"),
    ("room-does-not-block-queue", "daemon/wait_serve.c",
     "(s->tick.is_held && c->is_feed))\n\t\t\treturn;",
     "(s->tick.is_held && c->is_feed))\n\t\t\tcontinue;",
     "an update is overtaken only for moments",
     "tests/unit/daemon/test_session"),
    ("descriptor-stays-open", "daemon/session.c",
     "\t(void)close(c->fd);\n", ""),
    # doors
    ("publish-without-right", "tick/publish.c",
     "if (!rights_may_publish(c->client->rights, found->idx))",
     "if (false)"),
    ("template-without-right", "tick/publish_by_template.c",
     "(!rights->publishes_all &&", "(false && !rights->publishes_all &&"),
    ("subscribe-without-right", "tick/subscribe.c",
     "if (!rights_may_subscribe(c->client->rights, found->idx))",
     "if (false)"),
    ("all-tables-without-right", "tick/subscribe.c",
     "if (!rights_may_subscribe(rights, i))\n\t\t\tcontinue;", ""),
    ("symbols-without-right", "tick/subscribe.c",
     "if (rights_is_restricted(rights, t->idx) &&\n\t    !rights_may_have",
     "if (false &&\n\t    !rights_may_have"),
    ("past-without-right", "tick/subscribe_past.c",
     "\tif (!call_may(c, RIGHT_PAST))\n\t\treturn call_refuse(c);\n"
     "\t/* The number", "\t/* The number"),
    ("lag-without-right", "tick/introspect.c",
     "if (!call_may(c, RIGHT_ASK))", "if (false)"),
    ("tables-without-right", "tick/introspect.c",
     "\t\tif (rights_may_see(rights, i))\n\t\t\twire_put_symbol_item(",
     "\t\tif (i < cnt)\n\t\t\twire_put_symbol_item("),
    ("reload-keeps-subscription", "daemon/reload.c",
     "covers(c->rights, before, &c->selection)) &&", "true) &&"),
    ("reload-ends-everybody", "daemon/reload.c",
     "covers(c->rights, before, &c->selection)) &&", "false) &&"),
    ("reload-keeps-rights", "daemon/reload.c",
     "\thello_give_rights(s, c, now);\n", ""),
    ("reload-is-told-early", "daemon/reload.c",
     "c->reload_no = s->reload.begun_cnt + 1;",
     "c->reload_no = s->reload.begun_cnt;"),
    ("reload-asks-no-accounts", "daemon/reload.c",
     "\tif (hello_wants_password(s, c))\n\t\tlogin_ask(s, c);\n", ""),
    ("account-asked-twice", "daemon/login.c",
     "if (is_asked(&s->login, c))", "if (false)"),
    ("login-unknown-comes-in", "daemon/login.c",
     "\t\treturn VERDICT_UNKNOWN;", "\t\treturn VERDICT_YES;"),
    ("login-forgets-who-asked", "daemon/login.c",
     "\tclose_channel(l, channel);\n\t\task_again(l);",
     "\tclose_channel(l, channel);"),
    ("login-is-not-reaped", "daemon/login.c",
     "while (waitpid(-1, NULL, WNOHANG) > 0)", "while (false)"),
    ("login-is-not-restarted", "daemon/reload.c",
     "\t\tr->is_login_gone = true;\n", ""),
    ("password-is-wiped-early", "daemon/hello.c",
     "\tlogin_ask(s, c);\n\treturn HELLO_CHECKING;",
     "\tconnection_wipe_password(c);\n\tlogin_ask(s, c);\n"
     "\treturn HELLO_CHECKING;"),
    ("no-role-is-needed", "daemon/hello.c",
     "return !set->has_roles || common != 0;", "return true;"),
    ("networks-of-the-proxy", "daemon/hello.c",
     "return hello_lets_in(s, c, reason) ? WIRE_OK : WIRE_BAD;",
     "(void)hello_lets_in(s, c, reason);\n\treturn WIRE_OK;"),
    ("certificate-not-verified", "daemon/hello.c",
     "if (header->is_verified)", "if (true)"),
    # limits
    ("address-without-limit", "daemon/hello.c",
     "(unsigned)s->settings->connections.per_address);", "0);"),
    ("user-without-limit", "daemon/hello.c",
     "rights->limits[LIMIT_CONNECTIONS]);", "0);"),
    ("user-never-leaves", "daemon/session.c",
     "\tshares_leave(&s->shares, c->user_share);\n", ""),
    ("address-never-leaves", "daemon/session.c",
     "\tshares_leave(&s->shares, c->address_share);\n", ""),
    ("requests-without-limit", "tick/dispatch.c",
     "c->is_over_limit = max > 0 &&", "c->is_over_limit = false && max > 0 &&"),
    ("refused-requests-count", "tick/dispatch.c",
     "\telse if (max > 0)\n\t\tshare_note", "\tif (max > 0)\n\t\tshare_note"),
    ("symbols-without-limit", "tick/subscribe.c",
     "if (max == 0 || c->filters->cnt <= max)", "if (true || max == 0)"),
    ("requests-are-not-told", "tick/dispatch.c",
     "\t\tcounters->over_requests++;\n", "\t\t;\n"),
    # the stream and its consumers
    ("leave-ignores-reply", "client/consumer_journal.c",
     "if (c->is_replying && c->limit_pos - pos < end - pos)",
     "if (false && c->limit_pos - pos < end - pos)",
     "a reply lies within a batch only for moments",
     "tests/unit/client/test_leave"),
    ("leave-cancels-again", "client/consumer.c",
     "\tif (c->state == CONSUMER_LEAVING)\n\t\treturn false;\n", ""),
    ("cancel-ends-the-write", "daemon/turn.c",
     "\telse if (done->ticket.kind == ENGINE_POLL)\n",
     "\telse if (done->ticket.kind == ENGINE_CANCEL && done->result == 0 &&\n"
     "\t\t c->consumer.writing != PART_NONE)\n"
     "\t\tsession_written(s, c, -ECANCELED);\n"
     "\telse if (done->ticket.kind == ENGINE_POLL)\n"),
    ("offset-from-request", "client/consumer.c",
     "\t\tc->here.pos += accepted;", "\t\tc->here.pos += c->writing_len;"),
    ("reply-before-stream", "client/consumer.c",
     "\treturn c->here.stream == NULL || c->here.pos == c->limit_pos;",
     "\treturn true;"),
    ("gate-always-open", "client/consumer.c",
     "is_at_limit(c) &&\n\t\t   reply_gate_is_open(&c->gate) &&",
     "is_at_limit(c) &&"),
    ("rest-not-kept", "client/consumer_journal.c",
     "\t\tconsumer_keep_rest(c, (size_t)(leave_pos(c) - c->here.pos),\n"
     "\t\t\t\t   NULL);\n", "\t\t;\n"),
    ("leave-keeps-cursor-late", "client/consumer_journal.c",
     "p->skip_bytes = from.skip_bytes;\n\tp->from_record = "
     "p->skip_records = 0;\n\tp->backlog = (struct consumer_backlog){ 0 };"
     "\n\tif",
     "p->skip_bytes = 0;\n\tp->from_record = "
     "p->skip_records = 0;\n\tp->backlog = (struct consumer_backlog){ 0 };"
     "\n\tif"),
    ("tail-not-lowest", "ring/stream.c",
     "longest = max_u64(longest, s->head_pos - c->pos);",
     "longest = s->head_pos - c->pos;"),
    ("room-off-by-one", "ring/stream.c",
     "\tif (s->head_pos - s->tail_pos + len <= s->ring.size)\n"
     "\t\treturn true;\n\ts->wanted",
     "\tif (s->head_pos - s->tail_pos <= s->ring.size)\n"
     "\t\treturn true;\n\ts->wanted"),
    ("marks-are-records", "ring/stream.c",
     "\ts->records += records;", "\ts->records += records + (records == 0);"),
    ("return-without-checks", "client/consumer_journal.c",
     "p->skip_bytes > 0 || p->skip_records > 0 ||\n\t    !is_in_range(p) ||",
     "p->skip_records > 0 ||"),
    # out of the journal
    ("reads-have-no-owner", "client/catchup_private.h",
     "c->generation == generation &&", "true &&",
     "a slot seldom has a new client who reads while a read is under way",
     "tests/unit/client/test_catchup"),
    ("others-of-another-file", "client/catchup.c",
     "p->at.file != read->file || ", "",
     "two days are seldom read at the same place of their files",
     "tests/unit/client/test_catchup"),
    ("claims-never-too-much", "client/consumer_journal.c",
     "\t       p->at.record >= p->epoch_limit;", "\t       false;"),
    ("skip-records-one-more", "tick/subscribe_past.c",
     "skip_records = (uint64_t)claim.n;",
     "skip_records = (uint64_t)claim.n + (claim.n > 9);"),
    ("epoch-not-checked", "tick/subscribe_past.c",
     "(uint64_t)claim.i + (uint64_t)claim.n > sure)", "false)"),
    ("day-begin-not-set", "tick/day.c",
     "\tt->day_begin = s->records;\n", "",
     "a skip is seldom told before the new day's file is used, or without any",
     "tests/unit/tick/test_tick"),
    # the journal
    ("written-too-early", "journal/journal.c",
     "\tif (j->batch_off < j->batch.off) {\n\t\tsubmit_write(j, now_ns);\n"
     "\t\treturn;\n\t}\n", ""),
    ("staged-over-unwritten", "journal/journal.c",
     "j->staging.size - (j->staged.off - j->written.off)",
     "j->staging.size",
     "a slow disk seldom leaves 4 MB unwritten",
     "tests/unit/journal/test_journal"),
    ("sync-failure-ignored", "journal/journal.c",
     "\tif (result < 0)\n\t\tjournal_sync_failed(j, -result);\n", ""),
    ("sync-covers-later", "journal/journal.c",
     "\tj->phase = JOURNAL_SYNCING;\n", ""),
    ("show-before-written", "journal/state.c",
     "\t\tsafe_pos = j->state.written_pos;\n\t\tbreak;\n",
     "\t\tbreak;\n"),
    ("sync-shown-as-written", "journal/state.c",
     "\t\tsafe_pos = j->state.synced_pos;",
     "\t\tsafe_pos = j->state.written_pos;"),
    ("no-cut-after-failure", "journal/journal.c",
     "\tjournal_cut_back(j);\n}", "\tjournal_try_later(j, now_ns);\n}",
     "the look at the file's length mends it as well",
     "tests/unit/journal/test_journal"),
    ("roll-before-written", "journal/journal.c",
     "else if (j->staged.off > j->written.off) {",
     "else if (j->staged.off > j->written.off && !j->is_rolling) {",
     "a day seldom ends while records are staged",
     "tests/unit/journal/test_journal"),
    ("epoch-not-begun", "journal/epoch.c",
     "\t\te->now++;\n\t\tfor (unsigned i = 0; i < run->files_cnt",
     "\t\tfor (unsigned i = 0; i < run->files_cnt"),
    ("epoch-name-not-synced", "journal/epoch.c",
     "return err == 0 ? fs_sync_directory_of(path) : err;", "return err;"),
    ("hold-nothing", "journal/state.c",
     "\t\t\t\t? visible_pos\n\t\t\t\t: j->staged.pos;",
     "\t\t\t\t? visible_pos\n\t\t\t\t: j->main->head_pos;",
     "a slow disk seldom leaves 4 MB unwritten",
     "tests/unit/journal/test_journal"),
    # what is published
    ("template-ignores-hold", "tick/publish_by_template.c",
     "!t->is_held && !t->is_day_pending", "!t->is_day_pending"),
    # figures, memory, time
    ("lag-without-reply", "client/consumer.c",
     "\tif (c->is_replying)\n\t\tlag +=", "\tif (false)\n\t\tlag +="),
    ("lag-one-record-more", "client/consumer.c",
     "\t\trecords += stream_locate(s,", "\t\trecords += 1 + stream_locate(s,"),
    ("age-from-feeding", "ring/fanout.c",
     "if ((int64_t)(pos - all->news_pos) >= 0)", "if (true)"),
    ("memory-not-printed", "client/catchup.c",
     "memory_map(CATCHUP_SCRATCHES *", "memory_map(2 * CATCHUP_SCRATCHES *"),
    ("figures-not-given-back", "daemon/consumer_tables.c",
     "\tfree(rows);\n\treturn NULL;", "\treturn NULL;"),
    ("share-without-end", "daemon/wait.c",
     ": budget_is_spent(&s->budget);", ": false;"),
    ("steps-without-end", "q/eval.h",
     "REQUEST_STEPS_MAX = 10000,", "REQUEST_STEPS_MAX = 100000,"),
    ("block-limit-far-away", "client/slow_policy.c",
     "limits->block_limit_ns)", "100 * limits->block_limit_ns)"),
    ("spill-limit-ignored", "daemon/session.c",
     "c->spill_limit_ns > 0 &&", "false &&"),
    ("return-at-leave-mark", "client/slow_policy.c",
     "state->is_slow && lag_bytes < back",
     "state->is_slow && lag_bytes < leave",
     "who reads again mostly takes nearly all at once",
     "tests/unit/client/test_slow_policy"),
    ("second-sigterm-begins-anew", "daemon/turn.c",
     "\tif (s->is_stopping)\n\t\treturn;\n\ts->is_stopping = true;",
     "\ts->is_stopping = true;"),
    # questions
    ("steps-are-free", "q/apply.c",
     "\tif (steps > e->steps) {", "\tif (false) {"),
    ("clock-not-looked-at", "q/apply.c",
     "return e->steps > e->look_at || look_at_clock(e);", "return true;",
     "here a request takes time only when it is over",
     "tests/unit/q/test_eval"),
    ("walk-without-limit", "q/value.c",
     "\t\tif (seen > left) {", "\t\tif (false) {"),
    ("full-work-area-used", "q/eval.c",
     "\tif (e->work.is_full)\n\t\treturn query_limit;\n\treturn cnt == 1",
     "\treturn cnt == 1",
     "a vector of symbols as long as the work area is no message here",
     "tests/unit/q/test_eval"),
]


TOP = os.path.abspath(os.path.join(os.path.dirname(__file__), "..", ".."))

# Many short runs, and some long ones.
RUNS = (("0.002", 20), ("0.02", 2))

# Of the processor, for each of some.
SECONDS_MIN = 20


def copy_sources(copy):
    """Only what differs, so that make does only what is needed."""
    files = subprocess.run(["git", "ls-files"], cwd=TOP, check=True,
                           capture_output=True, text=True).stdout.split()
    files += ["configure", "aclocal.m4", "Makefile.in", "config.h.in"]
    files += ["build-aux/" + name for name in os.listdir(TOP + "/build-aux")]
    for name in files:
        source, target = os.path.join(TOP, name), os.path.join(copy, name)
        if not os.path.isfile(source):
            continue
        with open(source, "rb") as file:
            data = file.read()
        if os.path.exists(target):
            with open(target, "rb") as file:
                if file.read() == data:
                    continue
        os.makedirs(os.path.dirname(target), exist_ok=True)
        shutil.copyfile(source, target)
        shutil.copymode(source, target)


def make(folder, program):
    """The error, or None."""
    made = subprocess.run(["make", "-s", "-j2", program], cwd=folder,
                          stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
                          text=True)
    return made.stderr if made.returncode != 0 else None


def prepare(build):
    """A copy of the sources, and a build of it."""
    copy = os.path.join(os.path.abspath(build), "mutants")
    folder = copy + "/build"
    copy_sources(copy + "/src")
    os.makedirs(folder, exist_ok=True)
    if not os.path.exists(folder + "/Makefile"):
        subprocess.run(["../src/configure", "-q", "CFLAGS=-O1 -g",
                        "CC=" + os.environ.get("CC", "gcc")], cwd=folder,
                       check=True, stdout=subprocess.DEVNULL)
    return copy


def spent():
    use = resource.getrusage(resource.RUSAGE_CHILDREN)
    return use.ru_utime + use.ru_stime


def hunt(folder, seconds):
    """The first failure's line in so many seconds, or None; and how many."""
    began, seed = spent(), 1
    while spent() - began < seconds:
        for days, cnt in RUNS:
            run = subprocess.run(
                ["tests/sim/ringtick-sim", "--seed", str(seed), "--seeds",
                 str(cnt), "--days", days, "--first", "--shrink", "0",
                 "--jobs", str(os.cpu_count())], cwd=folder,
                capture_output=True, text=True)
            if run.returncode != 0:
                lines = (run.stderr or run.stdout).splitlines()
                line = ([l for l in lines if "ringtick-sim" in l] or lines)[0]
                return line + " (--days %s)" % days, spent() - began
        seed += 20
    return None, spent() - began


def has_test_seen(folder, test):
    """Whether a unit test fails."""
    err = make(folder, test)
    if err is not None:
        raise RuntimeError(err)
    return subprocess.run([test], cwd=folder, stdout=subprocess.DEVNULL,
                          stderr=subprocess.DEVNULL,
                          env=dict(os.environ, srcdir="../src")
                          ).returncode != 0


def judge(folder, seconds, why=None, test=None):
    """A word for what became of a mutation, and a sentence."""
    err = make(folder, "tests/sim/ringtick-sim")
    if err is not None:
        return "broken", err
    line, took = hunt(folder, seconds if why is None else seconds / 4)
    if line is not None:
        return "found", "%3d s: %s" % (took, line)
    if test is not None and not has_test_seen(folder, test):
        return "survived", "and %s does not see it" % test
    if why is not None:
        return "explained", why + ("; %s" % test if test is not None else "")
    return "survived", ""


def try_one(copy, seconds, mutation):
    name, path, old, new, *rest = mutation
    if len(rest) == 2 and has_test_seen(copy + "/build", rest[1]):
        return "broken", "%s fails without it" % rest[1]
    path = os.path.join(copy, "src", "src", path)
    with open(path) as file:
        text = file.read()
    if text.count(old) != 1:
        return "broken", "its text is %d times in the source" % text.count(old)
    with open(path, "w") as file:
        file.write(text.replace(old, new))
    try:
        return judge(copy + "/build", seconds, *rest)
    finally:
        with open(path, "w") as file:
            file.write(text)


def take_number(args, name, default):
    if name not in args:
        return default
    i = args.index(name)
    number = float(args[i + 1])
    del args[i:i + 2]
    return number


def try_some(copy, until):
    """Of those that have no explanation; where it begins depends on the day.  It
    goes on until one is found, however slow the machine is."""
    all_of_them = [m for m in MUTATIONS if len(m) == 4]
    first = int(time.time() / 86400) * 7 % len(all_of_them)
    found = 0
    for mutation in all_of_them[first:] + all_of_them[:first]:
        left = until - time.time()
        if left <= 0 and found > 0:
            break
        word, line = try_one(copy, max(left, SECONDS_MIN), mutation)
        found += word == "found"
        print("%-26s %-9s %s" % (mutation[0], word, line), flush=True)
        if word == "broken":
            return 1
    print("%d found" % found)
    return int(found == 0)


def main():
    args = sys.argv[1:]
    began = time.time()
    seconds = take_number(args, "--seconds", 120)
    some = take_number(args, "--some", 0)
    copy = prepare(args[0])
    if some > 0:
        return try_some(copy, began + some)
    counts = {}
    if len(args) == 1:
        word, line = judge(copy + "/build", seconds)
        print("%-26s %s" % ("(no mutation)", word + " " + line), flush=True)
        counts["failing"] = int(word != "survived")
    for mutation in MUTATIONS:
        if len(args) > 1 and mutation[0] not in args:
            continue
        word, line = try_one(copy, seconds, mutation)
        counts[word] = counts.get(word, 0) + 1
        print("%-26s %-9s %s" % (mutation[0], word, line), flush=True)
    print(", ".join("%d %s" % (cnt, word) for word, cnt in counts.items()))
    bad = ("survived", "broken", "failing")
    return int(any(counts.get(word, 0) > 0 for word in bad))


if __name__ == "__main__":
    sys.exit(main())

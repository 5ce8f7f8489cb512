/*
 * For the tests of the small files beside a journal, such as sym.epoch, that
 * are replaced in one step: a folder of the test program's own, with that file.
 */
#ifndef RINGTICK_TESTS_SIDE_FILE_H
#define RINGTICK_TESTS_SIDE_FILE_H

/* The file's path, and that of the new one before it gets the name. */
extern char side_dir[], side_path[], side_aside[];

/* For the set-up and tear-down of a group; after each test the files go. */
int open_side(const char *name);
int close_side(void **state);
int remove_side(void **state);

void put_side(const char *text);

/* The file has this text, and no other file is left beside it. */
void assert_side(const char *text);

#endif

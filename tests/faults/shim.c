/* Ends the process, or fails a call, at a chosen step of what it does to one folder.
 *
 * Preloaded into a real ingester. Every write, fsync, truncation, rename and unlink below
 * FAULT_ROOT is a step; step FAULT_AT is met with FAULT_KIND: kill, torn (half of the write, then
 * kill), enospc or eio (the call and all later ones of its kind fail). FAULT_COUNT names a file
 * that receives the number of steps when the process ends by itself.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>
#include <unistd.h>

static const char *root, *kind, *count_file;
static long at, steps;
static pid_t owner;
static pthread_mutex_t guard = PTHREAD_MUTEX_INITIALIZER;

__attribute__((constructor)) static void begin(void) {
    root = getenv("FAULT_ROOT");
    kind = getenv("FAULT_KIND");
    count_file = getenv("FAULT_COUNT");
    const char *wanted = getenv("FAULT_AT");
    at = wanted ? atol(wanted) : 0;
    owner = getpid();
    /* Processes started from here (decoders) write nothing to the store and are left alone. */
    unsetenv("LD_PRELOAD");
}

__attribute__((destructor)) static void end(void) {
    if (!count_file || getpid() != owner) return;
    FILE *out = fopen(count_file, "w");
    if (out) {
        fprintf(out, "%ld", steps);
        fclose(out);
    }
}

static int inside(const char *path) {
    char resolved[PATH_MAX];
    if (!root || getpid() != owner) return 0;
    if (path[0] != '/') {
        if (!getcwd(resolved, sizeof resolved)) return 0;
        size_t used = strlen(resolved);
        snprintf(resolved + used, sizeof resolved - used, "/%s", path);
        path = resolved;
    }
    return strncmp(path, root, strlen(root)) == 0;
}

static int inside_fd(int fd) {
    char link[64], path[PATH_MAX];
    if (!root) return 0;
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t length = readlink(link, path, sizeof path - 1);
    if (length < 0) return 0;
    path[length] = 0;
    return inside(path);
}

static void die(void) {
    kill(getpid(), SIGKILL);
    pause();
}

/* 0: go on. 1: fail with errno set. 2: write half, then die. */
static int step(void) {
    pthread_mutex_lock(&guard);
    long now = ++steps;
    pthread_mutex_unlock(&guard);
    if (!at || now < at) return 0;
    if (!strcmp(kind, "kill")) die();
    if (!strcmp(kind, "torn")) return 2;
    errno = strcmp(kind, "eio") ? ENOSPC : EIO;
    return 1;
}

#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

ssize_t write(int fd, const void *data, size_t size) {
    if (inside_fd(fd)) {
        int fault = step();
        if (fault == 1) return -1;
        if (fault == 2) {
            REAL(write)(fd, data, size / 2);
            die();
        }
    }
    return REAL(write)(fd, data, size);
}

ssize_t pwrite64(int fd, const void *data, size_t size, off64_t offset) {
    if (inside_fd(fd)) {
        int fault = step();
        if (fault == 1) return -1;
        if (fault == 2) {
            REAL(pwrite64)(fd, data, size / 2, offset);
            die();
        }
    }
    return REAL(pwrite64)(fd, data, size, offset);
}

ssize_t pwrite(int fd, const void *data, size_t size, off_t offset) {
    return pwrite64(fd, data, size, offset);
}

static int refuse(int in) {
    int fault = in ? step() : 0;
    if (fault == 2) die();
    return fault;
}

int fsync(int fd) { return refuse(inside_fd(fd)) ? -1 : REAL(fsync)(fd); }
int fdatasync(int fd) { return refuse(inside_fd(fd)) ? -1 : REAL(fdatasync)(fd); }
int ftruncate(int fd, off_t size) { return refuse(inside_fd(fd)) ? -1 : REAL(ftruncate)(fd, size); }
int ftruncate64(int fd, off64_t size) {
    return refuse(inside_fd(fd)) ? -1 : REAL(ftruncate64)(fd, size);
}
int rename(const char *from, const char *to) {
    return refuse(inside(to)) ? -1 : REAL(rename)(from, to);
}

int unlink(const char *path) {
    /* Deleting needs no space, so a full disk does not fail it. */
    if (inside(path)) {
        int fault = step();
        if (fault == 2) die();
        if (fault == 1 && errno == EIO) return -1;
    }
    return REAL(unlink)(path);
}

/* The client's work for each event of a stream, without the interpreter.
 *
 * inbox.c, poller.c and bodies.c do exactly what inbox.py, poller.py and bodies.py beside this
 * folder do, where it is told what that is; tests/client/test_client_wire.py holds them against
 * each other. Compiled as costaudit is installed, where there is a C compiler (hatch_build.py).
 */
#ifndef COSTAUDIT_NATIVE_H
#define COSTAUDIT_NATIVE_H

#define _GNU_SOURCE
#define Py_LIMITED_API 0x030B0000
#define PY_SSIZE_T_CLEAN
#include <Python.h>
#include <structmember.h>

#include <stdbool.h>
#include <stdint.h>
#include <time.h>

struct read { int64_t end, stamp, user; }; /* offset behind it; ns, 0: no kernel stamp; ns */

typedef struct {
    PyObject_HEAD
    char *bytes; /* since the last text() */
    size_t used, room;
    struct read *reads; /* since the last reads() */
    size_t count, places;
    size_t fresh; /* reads since the last text() */
    int64_t received, alert_bytes;
    char look; /* every read may end the answer */
} Inbox;

/* Room for so many things of a size; -1: no memory. */
int grow(void **block, size_t *room, size_t wanted, size_t size);

/* Stores a read. 1: the answer may be over; 0: it goes on; -1: no memory. */
int inbox_take(Inbox *inbox, const char *data, size_t size, int64_t stamp, int64_t user);

static inline int64_t nanoseconds(const struct timespec *t)
{
    return (int64_t)t->tv_sec * 1000000000 + t->tv_nsec;
}

extern PyType_Spec Inbox_spec, Poller_spec;
extern PyTypeObject *Inbox_type;
PyObject *whole_chunks(PyObject *module, PyObject *const *args, Py_ssize_t count);
PyObject *stamped(PyObject *module, PyObject *const *args, Py_ssize_t count);

#endif

/* Waits for sockets and receives what came on them, all of it without the interpreter. */
#include "native.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

enum { READ_BYTES = 65536, EVENTS = 512 };
enum { TOOK = 1 << 29, CLOSED = 1 << 30 }; /* beside epoll's own bits */
/* epoll waits in whole milliseconds and may oversleep: ppoll does the rest. */
static const int64_t FINE_NS = 2000000, EARLY_NS = 1000000, MOST_NS = 60000000000;

struct slot { PyObject *owner, *inbox; };

typedef struct {
    PyObject_HEAD
    int fd;
    struct slot *slots; /* by descriptor */
    size_t room;
    char scratch[READ_BYTES];
    struct epoll_event events[EVENTS];
    int64_t found[EVENTS];
} Poller;

/* One read. What Python is to be told of it; 0: nothing. */
static int64_t receive(Poller *self, int fd, Inbox *inbox)
{
    char control[64];
    struct iovec part = {self->scratch, READ_BYTES};
    struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1, .msg_control = control,
                             .msg_controllen = sizeof control};
    struct timespec user, stamp = {0};
    ssize_t size = recvmsg(fd, &message, 0);
    if (size < 0) return errno == EAGAIN || errno == EINTR ? 0 : -errno;
    if (!size) return CLOSED;
    clock_gettime(CLOCK_REALTIME, &user);
    for (struct cmsghdr *c = CMSG_FIRSTHDR(&message); c; c = CMSG_NXTHDR(&message, c))
        if (c->cmsg_level == SOL_SOCKET && c->cmsg_type == SO_TIMESTAMPNS)
            memcpy(&stamp, CMSG_DATA(c), sizeof stamp);
    int over = inbox_take(inbox, self->scratch, size, nanoseconds(&stamp), nanoseconds(&user));
    return over < 0 ? -ENOMEM : over ? TOOK : 0;
}

static int wait_and_receive(Poller *self, int64_t timeout_ns)
{
    int timeout_ms = timeout_ns < FINE_NS ? 0 : (timeout_ns < MOST_NS ? timeout_ns - EARLY_NS : MOST_NS) / 1000000;
    if (timeout_ns > 0 && timeout_ns < FINE_NS) {
        struct pollfd one = {self->fd, POLLIN, 0};
        struct timespec fine = {0, timeout_ns};
        if (ppoll(&one, 1, &fine, NULL) < 0) return -1;
    }
    int count = epoll_wait(self->fd, self->events, EVENTS, timeout_ms);
    for (int i = 0; i < count; i++) {
        int fd = self->events[i].data.fd;
        PyObject *inbox = self->slots[fd].inbox;
        uint32_t events = self->events[i].events;
        self->found[i] =
            inbox && events == EPOLLIN ? receive(self, fd, (Inbox *)inbox) : (int64_t)events;
    }
    return count;
}

static PyObject *Poller_poll(Poller *self, PyObject *timeout)
{
    int64_t timeout_ns = PyLong_AsLongLong(timeout);
    if (PyErr_Occurred()) return NULL;
    int count;
    Py_BEGIN_ALLOW_THREADS;
    count = wait_and_receive(self, timeout_ns < 0 ? 0 : timeout_ns);
    Py_END_ALLOW_THREADS;
    if (count < 0 && errno != EINTR) return PyErr_SetFromErrno(PyExc_OSError);
    if (count < 0 && PyErr_CheckSignals()) return NULL;
    PyObject *told = PyList_New(0);
    for (int i = 0; told && i < count; i++) {
        PyObject *owner = self->slots[self->events[i].data.fd].owner;
        if (!self->found[i] || !owner) continue;
        PyObject *pair = Py_BuildValue("(OL)", owner, (long long)self->found[i]);
        if (!pair || PyList_Append(told, pair)) Py_CLEAR(told);
        Py_XDECREF(pair);
    }
    return told;
}

static int forget(Poller *self, int fd)
{
    if (fd < 0 || (size_t)fd >= self->room) return -1;
    struct slot old = self->slots[fd];
    self->slots[fd] = (struct slot){0};
    Py_XDECREF(old.owner);
    Py_XDECREF(old.inbox);
    return 0;
}

static PyObject *Poller_watch(Poller *self, PyObject *args)
{
    unsigned events;
    PyObject *sock, *owner;
    if (!PyArg_ParseTuple(args, "OIO", &sock, &events, &owner)) return NULL;
    int fd = PyObject_AsFileDescriptor(sock);
    if (fd < 0) return NULL;
    if ((size_t)fd >= self->room) {
        size_t room = 2 * (size_t)fd + 64;
        struct slot *bigger = realloc(self->slots, room * sizeof *bigger);
        if (!bigger) return PyErr_NoMemory();
        memset(bigger + self->room, 0, (room - self->room) * sizeof *bigger);
        self->slots = bigger;
        self->room = room;
    }
    struct epoll_event event = {.events = events, .data.fd = fd};
    int known = self->slots[fd].owner != NULL;
    if (epoll_ctl(self->fd, known ? EPOLL_CTL_MOD : EPOLL_CTL_ADD, fd, &event))
        return PyErr_SetFromErrno(PyExc_OSError);
    if (!known) {
        Py_INCREF(owner);
        self->slots[fd].owner = owner;
    }
    Py_RETURN_NONE;
}

static PyObject *Poller_arm(Poller *self, PyObject *const *args, Py_ssize_t count)
{
    if (count != 2) return PyErr_Format(PyExc_TypeError, "arm(sock, inbox)");
    int fd = PyObject_AsFileDescriptor(args[0]);
    if (fd < 0) return NULL;
    if ((size_t)fd >= self->room || !self->slots[fd].owner)
        return PyErr_Format(PyExc_ValueError, "this socket is not watched");
    if (args[1] != Py_None && !Py_IS_TYPE(args[1], Inbox_type))
        return PyErr_Format(PyExc_TypeError, "no Inbox");
    PyObject *old = self->slots[fd].inbox;
    self->slots[fd].inbox = args[1] == Py_None ? NULL : args[1];
    Py_XINCREF(self->slots[fd].inbox);
    Py_XDECREF(old);
    Py_RETURN_NONE;
}

static PyObject *Poller_forget(Poller *self, PyObject *descriptor)
{
    long fd = PyLong_AsLong(descriptor);
    if (PyErr_Occurred()) return NULL;
    forget(self, fd); /* epoll forgets a closed descriptor by itself */
    Py_RETURN_NONE;
}

static PyObject *Poller_close(Poller *self, PyObject *none)
{
    for (size_t fd = 0; fd < self->room; fd++) forget(self, fd);
    if (self->fd >= 0) close(self->fd);
    self->fd = -1;
    Py_RETURN_NONE;
}

static PyObject *Poller_new(PyTypeObject *type, PyObject *args, PyObject *names)
{
    Poller *self = (Poller *)PyType_GenericAlloc(type, 0);
    if (!self) return NULL;
    self->fd = epoll_create1(EPOLL_CLOEXEC);
    if (self->fd >= 0) return (PyObject *)self;
    PyErr_SetFromErrno(PyExc_OSError);
    Py_DECREF(self);
    return NULL;
}

static void Poller_dealloc(Poller *self)
{
    PyTypeObject *type = Py_TYPE((PyObject *)self);
    Py_XDECREF(Poller_close(self, NULL));
    free(self->slots);
    ((freefunc)PyType_GetSlot(type, Py_tp_free))(self);
    Py_DECREF(type);
}

static PyMethodDef Poller_methods[] = {
    {"watch", (PyCFunction)Poller_watch, METH_VARARGS, NULL},
    {"arm", (PyCFunction)(void *)Poller_arm, METH_FASTCALL, NULL},
    {"forget", (PyCFunction)Poller_forget, METH_O, NULL},
    {"poll", (PyCFunction)Poller_poll, METH_O, NULL},
    {"close", (PyCFunction)Poller_close, METH_NOARGS, NULL},
    {0},
};
static PyType_Slot Poller_slots[] = {
    {Py_tp_new, Poller_new},
    {Py_tp_dealloc, Poller_dealloc},
    {Py_tp_methods, Poller_methods},
    {0},
};
PyType_Spec Poller_spec = {
    "costaudit.record.client._native.Poller", sizeof(Poller), 0, Py_TPFLAGS_DEFAULT, Poller_slots,
};

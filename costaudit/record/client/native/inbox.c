/* What has come on one connection: raw bytes, and when each read of them was stamped. */
#include "native.h"

#include <stdlib.h>
#include <string.h>

enum { LONG_READS = 128 }; /* that wait: some is to be read when there is time */

int grow(void **block, size_t *room, size_t wanted, size_t size)
{
    if (wanted <= *room) return 0;
    size_t new_room = wanted + wanted / 2 + 16;
    void *bigger = realloc(*block, new_room * size);
    if (!bigger) return -1;
    *block = bigger;
    *room = new_room;
    return 0;
}

static bool ends_with(const char *data, size_t size, const char *end, size_t length)
{
    return size >= length && !memcmp(data + size - length, end, length);
}

/* Begins it a chunked answer? Then its end will show. */
static bool goes_on(Inbox *inbox, const char *data, size_t size)
{
    static const char begins[] = "HTTP/1.1 200", coding[] = "\r\ntransfer-encoding: chunked";
    if (inbox->fresh > 1 || size < sizeof begins - 1 || memcmp(data, begins, sizeof begins - 1))
        return false;
    const char *end = memmem(data, size, "\r\n\r\n", 4);
    const size_t length = sizeof coding - 1;
    for (const char *at = data; end && (at = memmem(at, end - at, "\r\n", 2)); at += 2)
        if (at + length <= end && !strncasecmp(at, coding, length)) {
            inbox->look = 0;
            return true;
        }
    return false;
}

static int mark(Inbox *inbox, size_t size, int64_t stamp, int64_t user)
{
    if (grow((void **)&inbox->reads, &inbox->places, inbox->count + 1, sizeof *inbox->reads))
        return -1;
    inbox->received += size;
    inbox->reads[inbox->count++] = (struct read){inbox->received, stamp, user};
    return 0;
}

int inbox_take(Inbox *inbox, const char *data, size_t size, int64_t stamp, int64_t user)
{
    if (grow((void **)&inbox->bytes, &inbox->room, inbox->used + size, 1)) return -1;
    memcpy(inbox->bytes + inbox->used, data, size);
    inbox->used += size;
    inbox->fresh++;
    if (mark(inbox, size, stamp, user)) return -1;
    return (inbox->look && !goes_on(inbox, data, size)) || ends_with(data, size, "\r\n\r\n", 4) ||
           size < 4 || inbox->fresh > LONG_READS || inbox->received > inbox->alert_bytes;
}

static PyObject *Inbox_take(Inbox *self, PyObject *const *args, Py_ssize_t count)
{
    char *data, *stamp;
    Py_ssize_t size, stamp_size;
    if (count != 3) return PyErr_Format(PyExc_TypeError, "take(data, stamp, user_ns)");
    if (PyBytes_AsStringAndSize(args[0], &data, &size)) return NULL;
    if (PyBytes_AsStringAndSize(args[1], &stamp, &stamp_size)) return NULL;
    struct timespec when = {0};
    if (stamp_size == sizeof when) memcpy(&when, stamp, sizeof when);
    int64_t user = PyLong_AsLongLong(args[2]);
    if (PyErr_Occurred()) return NULL;
    int over = inbox_take(self, data, size, nanoseconds(&when), user);
    return over < 0 ? PyErr_NoMemory() : PyBool_FromLong(over);
}

static PyObject *Inbox_mark(Inbox *self, PyObject *const *args, Py_ssize_t count)
{
    if (count != 2) return PyErr_Format(PyExc_TypeError, "mark(size, user_ns)");
    Py_ssize_t size = PyLong_AsSsize_t(args[0]);
    int64_t user = PyLong_AsLongLong(args[1]);
    if (PyErr_Occurred()) return NULL;
    if (mark(self, size, 0, user)) return PyErr_NoMemory();
    Py_RETURN_NONE;
}

static PyObject *Inbox_text(Inbox *self, PyObject *none)
{
    PyObject *text = PyBytes_FromStringAndSize(self->bytes, self->used);
    free(self->bytes); /* an answer's bytes are kept once */
    self->bytes = NULL;
    self->used = self->room = self->fresh = 0;
    return text;
}

static PyObject *Inbox_reads(Inbox *self, PyObject *since)
{
    int64_t since_ns = PyLong_AsLongLong(since);
    if (PyErr_Occurred()) return NULL;
    size_t count = self->count;
    bool stamped = false;
    PyObject *ends = PyList_New(count), *times = PyList_New(count), *lags;
    for (size_t i = 0; i < count; i++) stamped |= self->reads[i].stamp != 0;
    lags = PyList_New(stamped ? count : 0);
    for (size_t i = 0; ends && times && lags && i < count; i++) {
        struct read *r = &self->reads[i];
        int64_t when = r->stamp ? r->stamp : r->user;
        PyList_SetItem(ends, i, PyLong_FromLongLong(r->end));
        int64_t us = when < since_ns ? 0 : (when - since_ns) / 1000;
        PyList_SetItem(times, i, PyLong_FromLongLong(us < UINT32_MAX ? us : UINT32_MAX));
        if (stamped) PyList_SetItem(lags, i, PyLong_FromLongLong(llabs(r->user - when) / 1000));
    }
    self->count = 0;
    PyObject *all = PyErr_Occurred() ? NULL : PyTuple_Pack(3, ends, times, lags);
    Py_XDECREF(ends);
    Py_XDECREF(times);
    Py_XDECREF(lags);
    return all;
}

static PyObject *Inbox_waiting(Inbox *self, void *none) { return PyLong_FromSize_t(self->count); }

static PyObject *Inbox_last_ns(Inbox *self, void *none)
{
    if (!self->count) return PyLong_FromLong(0);
    struct read *last = &self->reads[self->count - 1];
    return PyLong_FromLongLong(last->stamp ? last->stamp : last->user);
}

static PyObject *Inbox_new(PyTypeObject *type, PyObject *args, PyObject *names)
{
    Inbox *self = (Inbox *)PyType_GenericAlloc(type, 0);
    if (!self) return NULL;
    if (!PyArg_ParseTuple(args, "L", &self->alert_bytes)) {
        Py_DECREF(self);
        return NULL;
    }
    self->look = 1;
    return (PyObject *)self;
}

static void Inbox_dealloc(Inbox *self)
{
    PyTypeObject *type = Py_TYPE((PyObject *)self);
    free(self->bytes);
    free(self->reads);
    ((freefunc)PyType_GetSlot(type, Py_tp_free))(self);
    Py_DECREF(type);
}

static PyMethodDef Inbox_methods[] = {
    {"take", (PyCFunction)(void *)Inbox_take, METH_FASTCALL, NULL},
    {"mark", (PyCFunction)(void *)Inbox_mark, METH_FASTCALL, NULL},
    {"text", (PyCFunction)Inbox_text, METH_NOARGS, NULL},
    {"reads", (PyCFunction)Inbox_reads, METH_O, NULL},
    {0},
};
static PyMemberDef Inbox_members[] = {
    {"look", T_BOOL, offsetof(Inbox, look), 0, NULL},
    {"alert_bytes", T_LONGLONG, offsetof(Inbox, alert_bytes), 0, NULL},
    {"received", T_LONGLONG, offsetof(Inbox, received), READONLY, NULL},
    {0},
};
static PyGetSetDef Inbox_computed[] = {
    {"waiting", (getter)Inbox_waiting, NULL, NULL, NULL},
    {"last_ns", (getter)Inbox_last_ns, NULL, NULL, NULL},
    {0},
};
static PyType_Slot Inbox_slots[] = {
    {Py_tp_new, Inbox_new},         {Py_tp_dealloc, Inbox_dealloc}, {Py_tp_methods, Inbox_methods},
    {Py_tp_members, Inbox_members}, {Py_tp_getset, Inbox_computed}, {0},
};
PyType_Spec Inbox_spec = {
    "costaudit.record.client._native.Inbox", sizeof(Inbox), 0, Py_TPFLAGS_DEFAULT, Inbox_slots,
};

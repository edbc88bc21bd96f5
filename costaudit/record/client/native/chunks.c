/* Bodies taken apart: whole chunks of HTTP's chunked coding, and events that differ in one text. */
#include "native.h"

#include <string.h>

enum { SIZE_DIGITS = 7 };

static int digit(char c)
{
    if (c >= '0' && c <= '9') return c - '0';
    c |= 32;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* The size of the chunk at `at`, where a plain and whole one stands there, and where it begins. */
static Py_ssize_t chunk_at(const char *at, const char *end, const char **begin)
{
    Py_ssize_t size = 0;
    const char *c = at;
    for (int d; c < end && (d = digit(*c)) >= 0; c++) {
        if (c - at == SIZE_DIGITS) return 0;
        size = 16 * size + d;
    }
    if (c == at || end - c < size + 4 || c[0] != '\r' || c[1] != '\n') return 0;
    *begin = c + 2;
    return c[size + 2] == '\r' && c[size + 3] == '\n' ? size : 0;
}

static int append(PyObject *list, PyObject *item)
{
    int failed = !item || PyList_Append(list, item);
    Py_XDECREF(item);
    return failed;
}

/* whole_chunks(data, place, taken, pieces, ends) -> the place behind them: appends each chunk, and
 * `taken` more than where it ends. What is unusual, and the last chunk, is left alone. */
PyObject *whole_chunks(PyObject *module, PyObject *const *args, Py_ssize_t count)
{
    char *data;
    const char *begin = NULL;
    Py_ssize_t length, size;
    if (count != 5) return PyErr_Format(PyExc_TypeError, "five arguments");
    if (PyBytes_AsStringAndSize(args[0], &data, &length)) return NULL;
    Py_ssize_t place = PyLong_AsSsize_t(args[1]);
    long long taken = PyLong_AsLongLong(args[2]);
    if (PyErr_Occurred()) return NULL;
    if (place < 0 || place > length || !PyList_Check(args[3]) || !PyList_Check(args[4]))
        return PyErr_Format(PyExc_ValueError, "a place in the data, and two lists");
    while ((size = chunk_at(data + place, data + length, &begin)) > 0) {
        place = begin + size - data;
        if (append(args[3], PyBytes_FromStringAndSize(begin, size))) return NULL;
        if (append(args[4], PyLong_FromLongLong(taken + place))) return NULL;
        place += 2;
    }
    return PyLong_FromSsize_t(place);
}

/* May it stand between quotes of JSON, as valid UTF-8, and is it not empty? */
static bool is_text(const char *text, Py_ssize_t size)
{
    bool plain = true;
    for (Py_ssize_t i = 0; i < size; i++) {
        unsigned char c = text[i];
        if (c < 32 || c == '"') return false;
        if (c == '\\' && (++i == size || text[i] != 'n')) return false;
        if (c > 127) plain = false;
    }
    if (plain || size <= 0) return size > 0;
    PyObject *decoded = PyUnicode_DecodeUTF8(text, size, NULL);
    if (!decoded) PyErr_Clear();
    Py_XDECREF(decoded);
    return decoded != NULL;
}

/* alike(pieces, first, before, behind) -> how many of the pieces, from `first` on and in a row,
 * are `before`, a text, `behind`. */
PyObject *alike(PyObject *module, PyObject *const *args, Py_ssize_t count)
{
    char *before, *behind, *piece;
    Py_ssize_t head, tail, size;
    if (count != 4 || !PyList_Check(args[0])) return PyErr_Format(PyExc_TypeError, "alike(list, …)");
    Py_ssize_t first = PyLong_AsSsize_t(args[1]), at = first;
    if (PyErr_Occurred() || PyBytes_AsStringAndSize(args[2], &before, &head) ||
        PyBytes_AsStringAndSize(args[3], &behind, &tail))
        return NULL;
    for (Py_ssize_t all = PyList_Size(args[0]); at >= 0 && at < all; at++) {
        if (PyBytes_AsStringAndSize(PyList_GetItem(args[0], at), &piece, &size)) return NULL;
        if (size <= head + tail || memcmp(piece, before, head) ||
            memcmp(piece + size - tail, behind, tail) ||
            !is_text(piece + head, size - head - tail))
            break;
    }
    return PyLong_FromSsize_t(at - first);
}

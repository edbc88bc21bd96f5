/* Bodies taken apart: whole chunks of HTTP's chunked coding, events that differ in one text. */
#include "native.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SIZE_DIGITS = 7, KEY_BYTES = 64 };
enum { LOOK_AT = 4 }; /* events that begin otherwise: a role, an empty text, an escape */

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

/* Where the text of an event of one `data` line stands; false where that cannot be told. */
static bool find_text(const char *piece, Py_ssize_t size, PyObject *names, Py_ssize_t *start,
                      Py_ssize_t *stop)
{
    char key[KEY_BYTES], *name;
    Py_ssize_t length;
    if (size < 8 || memcmp(piece, "data: ", 6) || memcmp(piece + size - 2, "\n\n", 2)) return false;
    if (memchr(piece, '\n', size - 2) || memchr(piece, '\r', size)) return false;
    for (Py_ssize_t i = 0; i < PyTuple_Size(names); i++) {
        if (PyBytes_AsStringAndSize(PyTuple_GetItem(names, i), &name, &length)) return false;
        int written = snprintf(key, sizeof key, "\"%s\":", name);
        const char *at = written < KEY_BYTES ? memmem(piece, size, key, written) : NULL;
        if (!at) continue;
        const char *open = at + written, *end = piece + size;
        open += open < end && *open == ' ';
        const char *close = open < end ? memchr(open + 1, '"', end - open - 1) : NULL;
        if (!close || *open != '"' || close == open + 1) continue;
        if (at[-1] == '\\' || memchr(open, '\\', close - open)) continue;
        *start = open + 1 - piece;
        *stop = close - piece;
        return true;
    }
    return false;
}

/* How many pieces, from `first` on and in a row, differ from it in nothing but this text. */
static Py_ssize_t alike(PyObject *pieces, Py_ssize_t first, Py_ssize_t start, Py_ssize_t stop)
{
    char *model, *piece;
    Py_ssize_t size, at = first, all = PyList_Size(pieces), whole;
    if (PyBytes_AsStringAndSize(PyList_GetItem(pieces, first), &model, &whole)) return -1;
    for (Py_ssize_t tail = whole - stop; at < all; at++) {
        if (PyBytes_AsStringAndSize(PyList_GetItem(pieces, at), &piece, &size)) return -1;
        if (size <= start + tail || memcmp(piece, model, start) ||
            memcmp(piece + size - tail, model + stop, tail) ||
            !is_text(piece + start, size - start - tail))
            break;
    }
    return at - first;
}

/* text_run(pieces, names) -> (the first of a row of pieces that differ in one text, how many) */
PyObject *text_run(PyObject *module, PyObject *const *args, Py_ssize_t count)
{
    if (count != 2 || !PyList_Check(args[0]) || !PyTuple_Check(args[1]))
        return PyErr_Format(PyExc_TypeError, "text_run(list, tuple)");
    Py_ssize_t start, stop, all = PyList_Size(args[0]), size, found = 0;
    for (Py_ssize_t first = 0; first < all && first < LOOK_AT; first++) {
        char *piece;
        if (PyBytes_AsStringAndSize(PyList_GetItem(args[0], first), &piece, &size)) return NULL;
        if (find_text(piece, size, args[1], &start, &stop)) {
            found = alike(args[0], first, start, stop);
            return found < 0 ? NULL : Py_BuildValue("(nn)", first, found);
        }
        if (PyErr_Occurred()) return NULL;
    }
    return Py_BuildValue("(ii)", 0, 0);
}

/* stamped(offsets, read_ends, read_us) -> (uint32 of each offset, how many different reads, the end
 * of the first of them, of the last) */
PyObject *stamped(PyObject *module, PyObject *const *args, Py_ssize_t count)
{
    if (count != 3 || !PyList_Check(args[0]) || !PyList_Check(args[1]) || !PyList_Check(args[2]) ||
        !PyList_Size(args[0]) || PyList_Size(args[1]) != PyList_Size(args[2]))
        return PyErr_Format(PyExc_TypeError, "stamped(list, list, list)");
    Py_ssize_t all = PyList_Size(args[0]), reads = PyList_Size(args[1]), read = -1, different = 0;
    long long end = -1, first = 0;
    uint32_t us = 0, *times = malloc(all * sizeof *times);
    if (!times) return PyErr_NoMemory();
    for (Py_ssize_t i = 0; i < all && !PyErr_Occurred(); i++) {
        long long offset = PyLong_AsLongLong(PyList_GetItem(args[0], i));
        if (end < offset || read < 0) {
            do {
                if (++read == reads) {
                    free(times);
                    return PyErr_Format(PyExc_IndexError, "behind every read");
                }
                end = PyLong_AsLongLong(PyList_GetItem(args[1], read));
            } while (end < offset && !PyErr_Occurred());
            us = PyLong_AsUnsignedLong(PyList_GetItem(args[2], read));
            first = different++ ? first : end;
        }
        times[i] = us;
    }
    PyObject *told = NULL;
    if (!PyErr_Occurred())
        told = Py_BuildValue("(y#nLL)", (char *)times, all * (Py_ssize_t)sizeof *times, different,
                             first, end);
    free(times);
    return told;
}

/* Bodies taken apart: whole chunks of HTTP's chunked coding, events that differ in one text. */
#include "native.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SIZE_DIGITS = 7, KEY_BYTES = 64 };

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

struct row { const char *model; Py_ssize_t size, start, stop, count; }; /* alike but for a text */

/* Does a piece differ from the first of the row in nothing but the text? */
static bool is_of(const struct row *row, const char *piece, Py_ssize_t size)
{
    Py_ssize_t tail = row->size - row->stop;
    return row->count && row->start && size > row->start + tail &&
           !memcmp(piece, row->model, row->start) &&
           !memcmp(piece + size - tail, row->model + row->stop, tail) &&
           is_text(piece + row->start, size - row->start - tail);
}

static int begin(struct row *row, const char *piece, Py_ssize_t size, PyObject *names)
{
    *row = (struct row){piece, size, 0, 0, 1};
    if (find_text(piece, size, names, &row->start, &row->stop) &&
        !is_text(piece + row->start, row->stop - row->start))
        row->start = 0;
    return PyErr_Occurred() ? -1 : 0;
}

/* The place behind the whole chunks; -1: an exception. */
static Py_ssize_t take_chunks(const char *data, Py_ssize_t length, Py_ssize_t place, int64_t taken,
                              PyObject *names, PyObject *pieces, PyObject *counts, int64_t **ends,
                              size_t *all)
{
    struct row row = {0};
    const char *at;
    size_t room = 0;
    for (Py_ssize_t size; (size = chunk_at(data + place, data + length, &at)) > 0; place += 2) {
        place = at + size - data;
        if (grow((void **)ends, &room, *all + 1, sizeof **ends)) {
            PyErr_NoMemory();
            return -1;
        }
        (*ends)[(*all)++] = taken + place;
        if (is_of(&row, at, size)) {
            row.count++;
            continue;
        }
        if (row.count && append(counts, PyLong_FromSsize_t(row.count))) return -1;
        if (begin(&row, at, size, names)) return -1;
        if (append(pieces, PyBytes_FromStringAndSize(at, size))) return -1;
    }
    return row.count && append(counts, PyLong_FromSsize_t(row.count)) ? -1 : place;
}

/* whole_chunks(data, place, taken, names) -> (the place behind them; the first of each row of
 * chunks that differ in one text; how many it has; where each chunk ends, `taken` added, as int64).
 * What is unusual, and the last chunk, is left alone. */
PyObject *whole_chunks(PyObject *module, PyObject *const *args, Py_ssize_t count)
{
    char *data;
    Py_ssize_t length;
    if (count != 4) return PyErr_Format(PyExc_TypeError, "four arguments");
    if (PyBytes_AsStringAndSize(args[0], &data, &length)) return NULL;
    Py_ssize_t place = PyLong_AsSsize_t(args[1]);
    long long taken = PyLong_AsLongLong(args[2]);
    if (PyErr_Occurred()) return NULL;
    if (place < 0 || place > length || !PyTuple_Check(args[3]))
        return PyErr_Format(PyExc_ValueError, "a place in the data, and a tuple of names");
    int64_t *ends = NULL;
    size_t all = 0;
    PyObject *told = NULL, *pieces = PyList_New(0), *counts = PyList_New(0);
    if (pieces && counts)
        place = take_chunks(data, length, place, taken, args[3], pieces, counts, &ends, &all);
    if (pieces && counts && place >= 0)
        told = Py_BuildValue("(nOOy#)", place, pieces, counts, ends ? (char *)ends : "",
                             (Py_ssize_t)(all * sizeof *ends));
    free(ends);
    Py_XDECREF(pieces);
    Py_XDECREF(counts);
    return told;
}

static PyObject *stamp_all(const int64_t *offsets, Py_ssize_t all, PyObject *ends,
                           PyObject *times_us)
{
    Py_ssize_t reads = PyList_Size(ends), read = -1, different = 0;
    long long end = -1, first = 0;
    uint32_t us = 0, *times = malloc(all * sizeof *times);
    if (!times) return PyErr_NoMemory();
    for (Py_ssize_t i = 0; i < all && !PyErr_Occurred(); i++) {
        if (end < offsets[i] || read < 0) {
            do {
                if (++read == reads) {
                    free(times);
                    return PyErr_Format(PyExc_IndexError, "behind every read");
                }
                end = PyLong_AsLongLong(PyList_GetItem(ends, read));
            } while (end < offsets[i] && !PyErr_Occurred());
            us = PyLong_AsUnsignedLong(PyList_GetItem(times_us, read));
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

/* stamped(offsets, read_ends, read_us) -> (uint32 of each offset, how many different reads, the end
 * of the first of them, of the last); offsets are an array of int64 */
PyObject *stamped(PyObject *module, PyObject *const *args, Py_ssize_t count)
{
    Py_buffer view;
    if (count != 3 || !PyList_Check(args[1]) || !PyList_Check(args[2]) ||
        PyList_Size(args[1]) != PyList_Size(args[2]))
        return PyErr_Format(PyExc_TypeError, "stamped(array, list, list)");
    if (PyObject_GetBuffer(args[0], &view, PyBUF_FORMAT | PyBUF_ND)) return NULL;
    PyObject *told = NULL;
    if (view.itemsize == 8 && view.format && *view.format == 'q' && view.len)
        told = stamp_all(view.buf, view.len / 8, args[1], args[2]);
    else
        PyErr_SetString(PyExc_TypeError, "some offsets, of int64");
    PyBuffer_Release(&view);
    return told;
}

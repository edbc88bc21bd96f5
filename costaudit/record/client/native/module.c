/* costaudit.record.client._native */
#include "native.h"

PyTypeObject *Inbox_type;

static PyMethodDef functions[] = {
    {"whole_chunks", (PyCFunction)(void *)whole_chunks, METH_FASTCALL, NULL},
    {"stamped", (PyCFunction)(void *)stamped, METH_FASTCALL, NULL},
    {0},
};
static PyModuleDef definition = {PyModuleDef_HEAD_INIT, "_native", NULL, -1, functions};

static int add(PyObject *module, const char *name, PyType_Spec *spec, PyTypeObject **kept)
{
    PyObject *type = PyType_FromSpec(spec);
    if (!type) return -1;
    if (kept) *kept = (PyTypeObject *)type;
    return PyModule_AddObjectRef(module, name, type);
}

PyMODINIT_FUNC PyInit__native(void)
{
    PyObject *module = PyModule_Create(&definition);
    if (!module || add(module, "Inbox", &Inbox_spec, &Inbox_type) ||
        add(module, "Poller", &Poller_spec, NULL)) {
        Py_XDECREF(module);
        return NULL;
    }
    return module;
}

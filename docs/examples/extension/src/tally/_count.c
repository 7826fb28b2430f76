/* count(bytes) -> list of 256 ints: how often each byte occurs. */
#define PY_SSIZE_T_CLEAN
#include <Python.h>

static PyObject *count(PyObject *self, PyObject *argument) {
    Py_buffer view;
    unsigned long long seen[256] = {0};
    if (PyObject_GetBuffer(argument, &view, PyBUF_SIMPLE) < 0) return NULL;
    const unsigned char *bytes = view.buf;
    for (Py_ssize_t i = 0; i < view.len; i++) seen[bytes[i]]++;
    PyBuffer_Release(&view);
    PyObject *list = PyList_New(256);
    if (list == NULL) return NULL;
    for (int i = 0; i < 256; i++) {
        PyObject *number = PyLong_FromUnsignedLongLong(seen[i]);
        if (number == NULL) {
            Py_DECREF(list);
            return NULL;
        }
        PyList_SET_ITEM(list, i, number);
    }
    return list;
}

static PyMethodDef methods[] = {{"count", count, METH_O, "Occurrences of each byte."}, {NULL, NULL, 0, NULL}};
static struct PyModuleDef module = {PyModuleDef_HEAD_INIT, "_count", NULL, -1, methods, NULL, NULL, NULL, NULL};

PyMODINIT_FUNC PyInit__count(void) { return PyModule_Create(&module); }

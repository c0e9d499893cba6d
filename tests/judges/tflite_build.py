"""Small .tflite files with one operator, made for judges from the public schema.

    n = Net()
    x = n.tensor([1, 4], 'i8', 0.1, 3)
    y = n.tensor([1, 4], 'i8', 1 / 256, -128)
    n.op('LOGISTIC', [x], [y])
    n.save(path, [x], [y])
"""
import flatbuffers
import numpy as np
from ai_edge_litert import schema_py_generated as schema

TYPES = {'i8': 'INT8', 'u8': 'UINT8', 'i16': 'INT16', 'i32': 'INT32', 'i64': 'INT64', 'f32': 'FLOAT32', 'bool': 'BOOL',
         'i4': 'INT4'}
NUMPY = {'i8': np.int8, 'u8': np.uint8, 'i16': np.int16, 'i32': np.int32, 'i64': np.int64, 'f32': np.float32,
         'bool': np.bool_, 'i4': np.int8}
RANGE = {'i8': (-128, 127), 'u8': (0, 255), 'i16': (-32768, 32767), 'i4': (-8, 7)}


def packed4(values):
    """Two values a byte, low nibble first."""
    v = np.asarray(values, np.int8).reshape(-1)
    v = np.concatenate([v, np.zeros(len(v) % 2, np.int8)]).astype(np.uint8) & 15
    return v[0::2] | v[1::2] << 4


class Net:
    def __init__(self):
        self.model = schema.ModelT()
        self.model.version = 3
        self.model.description = 'one operator'
        self.model.operatorCodes = []
        self.model.buffers = [schema.BufferT()]
        self.graph = schema.SubGraphT()
        self.graph.tensors, self.graph.operators, self.graph.name = [], [], 'main'
        self.model.subgraphs = [self.graph]

    def tensor(self, shape, dtype, scale=None, zero=0, data=None, axis=0, variable=False):
        t = schema.TensorT()
        t.shape = np.asarray(shape, np.int32)
        t.type = getattr(schema.TensorType, TYPES[dtype])
        t.name = f't{len(self.graph.tensors)}'
        t.hasRank = True
        t.isVariable = variable
        t.buffer = 0
        if data is not None:
            b = schema.BufferT()
            values = np.ascontiguousarray(data, NUMPY[dtype])
            b.data = packed4(values) if dtype == 'i4' else np.frombuffer(values.tobytes(), np.uint8)
            self.model.buffers.append(b)
            t.buffer = len(self.model.buffers) - 1
        if scale is not None:
            q = schema.QuantizationParametersT()
            q.scale = np.atleast_1d(np.asarray(scale, np.float32))
            q.zeroPoint = np.broadcast_to(np.asarray(zero, np.int64), q.scale.shape).copy()
            q.quantizedDimension = axis
            t.quantization = q
        self.graph.tensors.append(t)
        return len(self.graph.tensors) - 1

    def ints(self, values, shape=None):
        values = np.asarray(values, np.int32)
        return self.tensor(values.shape if shape is None else shape, 'i32', data=values)

    def op(self, code, inputs, outputs, options=None, version=1, intermediates=None, **fields):
        c = schema.OperatorCodeT()
        c.builtinCode = getattr(schema.BuiltinOperator, code)
        c.deprecatedBuiltinCode = min(c.builtinCode, 127)
        c.version = version
        self.model.operatorCodes.append(c)
        o = schema.OperatorT()
        o.opcodeIndex = len(self.model.operatorCodes) - 1
        o.inputs = np.asarray(inputs, np.int32)
        o.outputs = np.asarray(outputs, np.int32)
        if intermediates is not None:
            o.intermediates = np.asarray(intermediates, np.int32)
        if options:
            o.builtinOptionsType = getattr(schema.BuiltinOptions, options)
            o.builtinOptions = getattr(schema, options + 'T')()
            for k, v in fields.items():
                if not hasattr(o.builtinOptions, k):
                    raise AttributeError(f'{options} has no {k}')
                setattr(o.builtinOptions, k, v)
        self.graph.operators.append(o)

    def save(self, path, inputs, outputs):
        self.graph.inputs = np.asarray(inputs, np.int32)
        self.graph.outputs = np.asarray(outputs, np.int32)
        b = flatbuffers.Builder(1 << 14)
        b.Finish(self.model.Pack(b), file_identifier=b'TFL3')
        open(path, 'wb').write(b.Output())

"""Pictures become tensors exactly as the frameworks that trained the models made them: Pillow's and
PyTorch's resizing, torchvision's normalisation, Pillow's decoding of odd PNG and JPEG files."""
import os

import numpy as np
import onnx
import torch
import torch.nn.functional as F
from onnx import TensorProto, helper
from PIL import Image

from judge import OUT, SHARED, each, slipway

PICTURES = os.path.join(OUT, 'pictures')
os.makedirs(PICTURES)


def identity(name, shape, elem=TensorProto.FLOAT):
    path = os.path.join(OUT, name + '.onnx')
    x = helper.make_tensor_value_info('x', elem, shape)
    y = helper.make_tensor_value_info('y', elem, shape)
    graph = helper.make_graph([helper.make_node('Identity', ['x'], ['y'])], 'g', [x], [y])
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid('', 13)], ir_version=8), path)
    return path


serial = 0


def tensors(shape, text, elem=TensorProto.FLOAT):
    """The tensors that `slipway run` gives to a model, for the data.yaml of this text."""
    global serial
    serial += 1
    model = identity(f'm{serial}', shape, elem)
    data = os.path.join(OUT, f'd{serial}.yaml')
    out = os.path.join(OUT, f'o{serial}')
    with open(data, 'w') as f:
        f.write(text)
    status, _, err = slipway('run', model, '--inputs', data, '--out', out, '--engine', 'ref')
    if status != 0:
        raise RuntimeError(err)
    results = sorted(os.listdir(out), key=lambda n: int(n.split('_')[1]))
    return [np.load(os.path.join(out, r, 'y.npy')) for r in results]


def chw(a):
    return a.transpose(2, 0, 1)[None].astype(np.float32)


def write(name, picture, **options):
    path = os.path.join(PICTURES, name)
    picture.save(path, **options)
    return path


rng = np.random.default_rng(20)
SIZES = [(31, 47, 8, 8), (8, 8, 31, 47), (40, 60, 20, 30), (64, 48, 64, 17), (64, 48, 23, 48),
         (50, 10, 18, 4), (100, 90, 7, 60), (5, 3, 1, 1), (1, 1, 4, 6), (33, 33, 32, 32)]


def compare(method, reference, tolerance):
    worst = 0
    for i, (h, w, oh, ow) in enumerate(SIZES):
        a = rng.integers(0, 256, (h, w, 3), dtype=np.uint8)
        path = write(f'{method}{i}.png', Image.fromarray(a))
        got, = tensors([1, 3, oh, ow], f'files: {path}\nresize: {method}\nlayout: nchw\nscale: 1\n')
        worst = max(worst, float(np.abs(got - reference(a, oh, ow)).max()))
    return f'differs by {worst}' if worst > tolerance else None


def pillow(a, h, w):
    return chw(np.asarray(Image.fromarray(a).resize((w, h), Image.BILINEAR)))


def interpolate(antialias):
    return lambda a, h, w: F.interpolate(torch.from_numpy(chw(a)), (h, w), mode='bilinear',
                                         align_corners=False, antialias=antialias).numpy()


def photographs():
    """Real JPEG photographs: resize the shorter side, crop the middle, normalise, as in torchvision."""
    folder = os.path.join(SHARED, 'models', 'data', 'imagenet')
    names = sorted(n for n in os.listdir(folder) if n.endswith('.JPEG'))[:6]
    mean, std = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
    got = tensors([1, 3, 224, 224], 'files: [' + ', '.join(f'"{folder}/{n}"' for n in names) + ']\n'
                  f'size: 256\ncrop: 224\nmean: {list(mean)}\nstd: {list(std)}\n')
    for name, y in zip(names, got, strict=True):
        p = Image.open(os.path.join(folder, name)).convert('RGB')
        w, h = p.size
        size = (256, int(256 * h / w)) if w <= h else (int(256 * w / h), 256)
        a = np.asarray(p.resize(size, Image.BILINEAR))
        top, left = round((size[1] - 224) / 2), round((size[0] - 224) / 2)
        x = torch.from_numpy(chw(a[top:top + 224, left:left + 224])).div(255)
        want = x.sub(torch.tensor(mean).view(3, 1, 1)).div(torch.tensor(std).view(3, 1, 1)).numpy()
        # decoders of JPEG differ by their version: a level at most, for few pixels
        if np.abs(y - want).max() > 2.01 / 255 / min(std) or (y != want).mean() > 0.01:
            return f'{name}: {np.abs(y - want).max()} at most, {(y != want).mean():.2%} differ'


def odd_files():
    """Every kind of pixel decodes as Pillow's convert('RGB'); 16 bits keep the upper byte."""
    a = rng.integers(0, 256, (9, 7, 3), dtype=np.uint8)
    rgb = Image.fromarray(a)
    alpha = rgb.copy()
    alpha.putalpha(Image.fromarray(a[:, :, 0]))
    cases = {'rgb': rgb, 'l': rgb.convert('L'), '1': rgb.convert('1'), 'p': rgb.convert('P'),
             'rgba': alpha, 'la': rgb.convert('LA')}
    for name, picture in cases.items():
        path = write(f'odd_{name}.png', picture)
        got, = tensors([1, 3, 9, 7], f'files: {path}\nscale: 1\n')
        want = chw(np.asarray(Image.open(path).convert('RGB')))
        if not np.array_equal(got, want):
            return f'{name}: differs by {np.abs(got - want).max()}'
    deep = rng.integers(0, 65536, (9, 7), dtype=np.uint16)
    path = write('odd_16.png', Image.fromarray(deep))
    got, = tensors([1, 1, 9, 7], f'files: {path}\nscale: 1\n')
    if not np.array_equal(got[0, 0], (deep >> 8).astype(np.float32)):
        return '16 bits'
    for name, picture in (('rgb', rgb), ('l', rgb.convert('L'))):
        path = write(f'odd_{name}.jpg', picture, progressive=name == 'l', quality=95)
        got, = tensors([1, 3, 9, 7], f'files: {path}\nscale: 1\n')
        worst = np.abs(got - chw(np.asarray(Image.open(path).convert('RGB')))).max()
        if worst > 1:
            return f'{name}.jpg: differs by {worst}'


def gray_and_bgr():
    a = rng.integers(0, 256, (12, 10, 3), dtype=np.uint8)
    path = write('colour.png', Image.fromarray(a))
    got, = tensors([1, 6, 5, 1], f'files: {path}\nscale: 1\n')
    want = np.asarray(Image.fromarray(a).convert('L').resize((5, 6), Image.BILINEAR))
    if not np.array_equal(got[0, :, :, 0], want.astype(np.float32)):
        return 'gray'
    got, = tensors([1, 3, 12, 10], f'files: {path}\nscale: 1\ncolour: bgr\n')
    if not np.array_equal(got, chw(a[:, :, ::-1])):
        return 'bgr'


each([
    ('resize-pil', lambda: compare('pil-bilinear', pillow, 0)),
    ('resize-torch', lambda: compare('torch-bilinear', interpolate(False), 1e-5 * 255)),
    ('resize-torch-antialias', lambda: compare('torch-bilinear-antialias', interpolate(True),
                                               1e-5 * 255)),
    ('photographs-as-torchvision', photographs),
    ('odd-pictures-as-pillow', odd_files),
    ('gray-and-bgr', gray_and_bgr),
])

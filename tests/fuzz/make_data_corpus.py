"""make_data_corpus.py - makes tests/fuzz/corpus/{npy,npz,picture} with NumPy and Pillow."""
import os

import numpy as np
from PIL import Image

out = os.path.join(os.path.dirname(os.path.abspath(__file__)), 'corpus')
a = np.arange(12).reshape(3, 4)


def at(kind, name):
    os.makedirs(os.path.join(out, kind), exist_ok=True)
    return os.path.join(out, kind, name)


for dtype in ('bool', 'i1', '>i2', '<f2', '>f8', 'c8'):
    np.save(at('npy', dtype.strip('<>') + '.npy'), a.astype(dtype))
np.save(at('npy', 'fortran.npy'), np.asfortranarray(a.astype('f4')))
np.save(at('npy', 'empty.npy'), np.zeros((0, 5), 'f4'))
np.save(at('npy', 'scalar.npy'), np.float32(1))
with open(at('npy', 'version2.npy'), 'wb') as f:
    np.lib.format.write_array(f, a, version=(2, 0))
np.savez(at('npz', 'stored.npz'), x=a.astype('f4'), y=a[0])
np.savez_compressed(at('npz', 'deflated.npz'), a.astype('f4'), np.zeros((100, 100)))
rgb = (np.arange(9 * 11 * 3) * 7 % 256).astype('u1').reshape(9, 11, 3)
picture = Image.fromarray(rgb)
picture.save(at('picture', 'rgb.png'))
picture.convert('P').save(at('picture', 'palette.png'), transparency=0)
picture.convert('L').save(at('picture', 'gray.png'))
picture.convert('1').save(at('picture', 'bits.png'))
picture.convert('RGBA').save(at('picture', 'rgba.png'))
Image.fromarray((rgb[:, :, 0].astype('u2') * 257)).save(at('picture', 'gray16.png'))
picture.save(at('picture', 'rgb.jpg'), quality=90)
picture.convert('L').save(at('picture', 'gray.jpg'))
picture.save(at('picture', 'progressive.jpg'), progressive=True)
picture.convert('CMYK').save(at('picture', 'cmyk.jpg'))

"""The report of a quantisation: parsed strictly, and shown by a real browser.

Node, tensor and file names are hostile. Always: tags that fit together, one script, no handler and no address that
leaves the page, every link leads somewhere, the same bytes again, 300 layers in less than 1 MB. Where chromium is or
can be installed: no sideways scrolling at 360 px, tables sort by their headers, nothing is requested, no name becomes
markup, light and dark differ, it prints.
"""
import html
import html.parser
import json
import os
import re
import shutil
import subprocess
import tempfile

import judge
import numpy as np
import onnx
from judge import OUT, check, fail, skip, slipway
from onnx import TensorProto, helper, numpy_helper

HOSTILE = '<script>window.hacked=1</script>"\'&amp;<img src=x onerror="window.hacked=2">'
VOID = {'meta', 'img', 'path'}
OPTIONAL_END = {'html', 'body', 'li', 'dt', 'dd', 'p', 'tr', 'td', 'th', 'thead', 'tbody'}
rng = np.random.default_rng(11)


def net(path, layers, name):
    consts, nodes, last = [], [], 'x'
    for i in range(layers):
        w = (rng.standard_normal((8, 3 if i == 0 else 8, 1, 1)) * 0.6).astype(np.float32)
        consts.append(numpy_helper.from_array(w, f'w{i}'))
        out = 'y' if i == layers - 1 else f'{name}{i}'
        nodes.append(helper.make_node('Conv', [last, f'w{i}'], [out], name=f'{name}{i}'))
        last = out
        if i % 8 == 3:
            nodes.append(helper.make_node('Tanh', [last], [f'{name}t{i}'], name=f'{name}t{i}'))
            last = f'{name}t{i}'
    graph = helper.make_graph(nodes, 'net', [helper.make_tensor_value_info('x', TensorProto.FLOAT, [1, 3, 6, 6])],
                              [helper.make_tensor_value_info('y', TensorProto.FLOAT, None)], consts)
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid('', 17)], ir_version=8), path)


def branches(path, blocks, name):
    """Blocks of a gated convolution with a way round, all joined at the end: {node: its sources}."""
    consts, nodes, reads, last, ends = [], [], {}, 'x', []

    def add(op, out, *ins, **attrs):
        nodes.append(helper.make_node(op, list(ins), [out], name=out, **attrs))
        reads[out] = [i for i in ins if i in reads]
        return out

    for b in range(blocks):
        consts.append(numpy_helper.from_array(rng.standard_normal((8, 8, 1, 1)).astype(np.float32), f'w{b}'))
        conv = add('Conv', f'{name}{b}/conv', last, f'w{b}')
        gate = add('Sigmoid', f'{name}{b}/gate', conv)
        for t in range(3):
            gate = add('Tanh', f'{name}{b}/tanh{t}', gate)
        last = add('Mul', f'{name}{b}/out' if b else f'{name}{b}', conv, gate)
        ends += [last] if b % 3 == 0 else []
    last = add('Concat', 'y', *ends, last, axis=1)
    graph = helper.make_graph(nodes, 'net', [helper.make_tensor_value_info('x', TensorProto.FLOAT, [1, 8, 4, 4])],
                              [helper.make_tensor_value_info('y', TensorProto.FLOAT, None)], consts)
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid('', 17)], ir_version=8), path)
    return reads


BOX = re.compile(r'<(a|g) (?:href="#L(\d+)" )?class=(\w+)><title>(.*?)</title><rect x=(\d+) y=(\d+) width=(\d+) height=(\d+) rx=3>'
                 r'</rect><text x=\d+ y=\d+>(.*?)</text></\1>')


def drawing(text):
    """[(link, class, title, x, y, w, h, label) of each box], [(x0, y0, x1, y1) of each line]"""
    svg = text[text.index('<div class=graph'):]
    svg = svg[:svg.index('</svg>')]
    boxes = [(b[2] or '', b[3], html.unescape(b[4]), *map(int, b.groups()[4:8]), b[9]) for b in BOX.finditer(svg)]
    lines = []
    for x, y, kind, rest in re.findall(r'M(\d+) (\d+)([VvC])([^MZ"]*)', svg):
        end = [int(v) for v in rest.split()]
        x1 = int(x) if kind != 'C' else end[-2]
        lines.append((int(x), int(y), x1, int(y) + end[0] if kind == 'v' else end[-1]))
    return boxes, lines


def graph_map(text, reads, most):
    boxes, lines = drawing(text)
    check(f'map: {len(reads)} nodes in at most {most} boxes', 0 < len(boxes) <= most, len(boxes))
    overlaps = [(a[2], b[2]) for i, a in enumerate(boxes) for b in boxes[i + 1:]
                if a[4] == b[4] and abs(a[3] - b[3]) < a[5]]
    check('map: no box covers another', not overlaps, overlaps[:2])
    check('map: all lines lead down', all(y1 > y0 for _, y0, _, y1 in lines), '')
    tops, feet = {(x + w // 2, y) for _, _, _, x, y, w, _, _ in boxes}, {(x + w // 2, y + h) for _, _, _, x, y, w, h, _ in boxes}
    starts, ends = {(x, y) for x, y, _, _ in lines}, {(x, y) for _, _, x, y in lines}
    check('map: no line hangs', starts <= feet | ends and ends <= tops | starts, (starts - feet - ends, ends - tops - starts))
    if len(boxes) < len(reads):
        check('map: it says that it is shorter', f'{len(reads)} nodes in {len(boxes)} boxes' in text, '')
        return
    at = {b[2].rsplit(' (', 1)[0]: b for b in boxes}
    check('map: the boxes are the nodes', set(at) == set(reads), set(at) ^ set(reads))
    way = {}
    for x0, y0, x1, y1 in lines:
        way.setdefault((x0, y0), []).append((x1, y1))

    def reached(b):
        seen, todo = set(), [(b[3] + b[5] // 2, b[4] + b[6])]
        while todo:
            p = todo.pop()
            if p not in seen:
                seen.add(p)
                todo += way.get(p, [])
        return seen
    lost = [(s, n) for n, ss in reads.items() for s in ss if (at[n][3] + at[n][5] // 2, at[n][4]) not in reached(at[s])]
    check('map: a line from each node to each reader', not lost, lost[:3])
    check('map: layers are links with their loss', all((b[0] != '') == (b[1][0] == 'f') and (b[0] == '' or 'dB' in b[2]) for b in boxes), '')


def report(model, page):
    status, text, errors = slipway('quantize', model, '--scheme', 'int8', '--calib', 'random:1:2', '--report', page,
                                   '--json')
    if status:
        raise RuntimeError(errors)
    with open(page, encoding='utf-8') as f:
        return f.read(), json.loads(text)['analysis']


class Page(html.parser.HTMLParser):
    """Every tag that must be closed is, in order; collects what the checks want."""

    def __init__(self, text):
        super().__init__()
        self.open, self.faults, self.ids, self.links, self.text, self.scripts = [], [], [], [], [], 0
        self.rows = {}
        self.table = None
        self.feed(text)
        self.close()
        if [t for t in self.open if t not in OPTIONAL_END]:
            self.faults.append(f'never closed: {self.open}')

    def handle_starttag(self, tag, attrs):
        attrs = dict(attrs)
        self.scripts += tag == 'script'
        if tag in ('img', 'iframe', 'link', 'object', 'embed', 'form', 'base'):
            self.faults.append(f'<{tag}>')
        for k, v in attrs.items():
            if k.startswith('on') or k in ('src', 'srcset', 'action', 'data', 'xlink:href'):
                self.faults.append(f'attribute {k}={v}')
            if k == 'href':
                self.links.append(v)
            if k == 'id':
                self.ids.append(v)
        if tag == 'table':
            self.table = attrs.get('id')
        if tag == 'tr' and self.table:
            self.rows[self.table] = self.rows.get(self.table, 0) + 1
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        if tag not in VOID:
            self.faults.append(f'<{tag}/>')

    def handle_endtag(self, tag):
        while self.open and self.open[-1] != tag and self.open[-1] in OPTIONAL_END:
            self.open.pop()
        if not self.open or self.open.pop() != tag:
            self.faults.append(f'</{tag}> closes nothing')
        if tag == 'table':
            self.table = None

    def handle_data(self, data):
        self.text.append(data)


def structure(text, analysis):
    p = Page(text)
    style = text[text.index('<style>'):text.index('</style>')]
    check('tags fit together', not p.faults, p.faults[:3])
    check('one script', p.scripts == 1, p.scripts)
    check('no address leaves the page', all(l.startswith('#') for l in p.links) and 'url(' not in style
          and '@import' not in style and 'http' not in text, [l for l in p.links if l[0] != '#'][:3])
    check('links lead somewhere', set(l[1:] for l in p.links) <= set(p.ids) and len(set(p.ids)) == len(p.ids), '')
    check('a row for each layer', p.rows.get('layers') == len(analysis['layers']) + 1, p.rows)
    seen = ''.join(p.text)
    check('hostile names stay text', HOSTILE + '0' in seen and 'hostile<b>.onnx' in seen.split('To repeat this')[1], '')
    check('nothing of the place', OUT not in text and not re.search(r'20\d\d-\d\d-\d\d', text), '')
    order = [float(v) for v in re.findall(r'</a><td>[^<]*<td data-v=([-0-9.e+]+)', text)]
    check('worst first', len(order) == len(analysis['layers']) and order == sorted(order), order[:5])


# What the browser is asked: the page sits in a frame of 360 px, of the same origin.
HARNESS = '''<!doctype html><meta charset=utf-8><title>harness</title><pre id=result></pre>
<iframe id=f style="width:360px;height:1500px;border:0" srcdoc="%s"></iframe>
<script>
f.onload=()=>{const d=f.contentDocument,w=f.contentWindow,r={};
r.width=d.documentElement.scrollWidth;
r.hacked=String(w.hacked)+String(window.hacked);
r.requests=w.performance.getEntriesByType('resource').map(e=>e.name);
const t=d.getElementById('layers'),col=k=>[...t.tBodies[0].rows].map(x=>x.cells[k].dataset.v??x.cells[k].textContent);
const th=[...t.tHead.rows[0].cells],click=k=>{th[k].click();return col(k)};
r.alone=col(3);r.up=click(3);r.down=click(3);r.names=click(1);
th[0].dispatchEvent(new w.KeyboardEvent('keydown',{key:'Enter'}));r.order=col(0);r.sorted=th[0].getAttribute('aria-sort');
r.background=w.getComputedStyle(d.documentElement).backgroundColor;
const g=d.querySelector('.graph');r.graph=[g.clientWidth,g.scrollWidth,g.scrollLeft];
d.querySelector('.graph a[href="#L5"]').dispatchEvent(new w.MouseEvent('click',{bubbles:true,cancelable:true,view:w}));setTimeout(()=>{r.opened=d.getElementById('L5').open;
result.textContent=JSON.stringify(r)},300)}
</script>'''


def browser():
    names = ('chromium', 'chromium-browser', 'google-chrome-stable', 'google-chrome')
    found = next((p for n in names if (p := shutil.which(n))), None)
    if not found:
        root = os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', '..')
        subprocess.run(['bash', '-c', '. tools/house.sh; as_root apt-get update -q </dev/null >&2; '
                        'bring_in_wanted "cmd:chromium chromium"'], cwd=root, stdin=subprocess.DEVNULL,
                       stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, timeout=300)
        found = shutil.which('chromium')
    return found


def chromium(program, *words):
    with tempfile.TemporaryDirectory() as home:
        return subprocess.run([program, '--headless=new', '--no-sandbox', '--disable-gpu', '--hide-scrollbars',
                               f'--user-data-dir={home}', '--host-resolver-rules=MAP * ~NOTFOUND',
                               '--virtual-time-budget=4000', *words], stdin=subprocess.DEVNULL, capture_output=True,
                              text=True, timeout=120)


def ask(program, text, *words):
    page = f'{OUT}/harness.html'
    with open(page, 'w', encoding='utf-8') as f:
        f.write(HARNESS % html.escape(text, quote=True))
    done = chromium(program, '--dump-dom', *words, f'file://{page}')
    answer = re.search(r'<pre id="result">(.*?)</pre>', done.stdout, re.S)
    if not answer or not answer[1]:
        raise RuntimeError(f'the browser says nothing: {done.stderr[-300:]}')
    return json.loads(html.unescape(answer[1]))


def shown(program, text, wide):
    r = ask(program, text)
    numbers = sorted(float(v) for v in r['alone'])
    check('360 px without sideways scrolling', r['width'] <= 360, r['width'])
    check('no name becomes markup', r['hacked'] == 'undefinedundefined', r['hacked'])
    check('nothing is requested', not r['requests'], r['requests'])
    check('sorts by number', [float(v) for v in r['up']] == numbers and [float(v) for v in r['down']] == numbers[::-1],
          r['up'][:4])
    check('sorts by name', r['names'] == sorted(r['names']), r['names'][:4])
    check('sorts by key', r['order'] == sorted(r['order'], key=float) and r['sorted'] == 'ascending', r['sorted'])
    check('a link opens its layer', r['opened'], r)
    dark = ask(program, text, '--blink-settings=preferredColorScheme=0')
    check('light and dark', r['background'] == 'rgb(255, 255, 255)' and dark['background'] != r['background'],
          (r['background'], dark['background']))
    r = ask(program, wide)
    check('a large graph at 360 px', r['width'] <= 360 and r['graph'][0] <= 360 < r['graph'][1] and r['graph'][2] > 0, r)
    page, pdf = f'{OUT}/r.html', f'{OUT}/r.pdf'
    chromium(program, '--no-pdf-header-footer', f'--print-to-pdf={pdf}', f'file://{page}')
    with open(pdf, 'rb') as f:
        check('prints', f.read(5) == b'%PDF-' and os.path.getsize(pdf) > 10000, '')


def main():
    model = f'{OUT}/hostile<b>.onnx'
    net(model, 12, HOSTILE)
    text, analysis = report(model, f'{OUT}/r.html')
    structure(text, analysis)
    os.makedirs(f'{OUT}/elsewhere')
    shutil.copy(model, f'{OUT}/elsewhere')
    again, _ = report(f'{OUT}/elsewhere/{os.path.basename(model)}', f'{OUT}/elsewhere/page.html')
    check('the same bytes elsewhere', again == text, '')
    net(f'{OUT}/wide.onnx', 267, 'backbone/stage/block/conv_')
    wide, analysis = report(f'{OUT}/wide.onnx', f'{OUT}/wide.html')
    check('300 layers in less than 1 MB', len(analysis['layers']) >= 300 and len(wide) < 1 << 20,
          f'{len(analysis["layers"])} layers, {len(wide)} bytes')
    reads = branches(f'{OUT}/small.onnx', 20, 'block/')
    graph_map(report(f'{OUT}/small.onnx', f'{OUT}/small.html')[0], reads, len(reads))
    reads = branches(f'{OUT}/large.onnx', 90, 'block/')
    large, _ = report(f'{OUT}/large.onnx', f'{OUT}/large.html')
    graph_map(large, reads, 400)
    program = browser()
    if not program:
        skip('browser', 'there is no chromium, and it could not be installed')
        return
    try:
        shown(program, text, large)
    except Exception as error:
        fail('browser', f'{type(error).__name__}: {error}')


main()
raise SystemExit(judge.failed > 0)

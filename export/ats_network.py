"""The ATS network: a temporal convolution over speech features, and a face over its controls, in one graph.

Trunk: standardised features -> 64 channels -> three residual blocks of dilated convolutions (kernel 5, dilation 1, 2,
4: 14 frames, 280 ms, to either side) -> controls of the mouth (weights of ICT-FaceKit's shapes) and events
(speech, bilabial, labiodental, rounding). A linear path over five frames, solved in closed form, runs straight past the
convolutions: what is linear in the features carries over to other talkers best, and the convolutions learn the rest.
Events have convolutions of their own, for the two are learned at different pace.

Face, without any learned weight: controls x landmark shapes, silenced where nobody speaks, rounded where rounding is
heard, scaled by style; emotion and emphasis laid over it; lips that touch do not pass through each other; where a
bilabial is heard they meet, whatever the emotion and the style, and where a labiodental is heard neither parts them;
lids.
"""

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from freetalk_blender.core.landmarks import INNER_LIP_PAIRS
from freetalk_blender.core.voice.ats import BESIDE, EVENTS
from freetalk_blender.core.voice.emotion import EMOTIONS
from freetalk_blender.core.voice.lips import parting
from freetalk_blender.core.voice.speech import CONTEXT, FEATURES

WIDTH = 64
KERNEL = 5
DILATIONS = (1, 2, 4)
#: Share of inputs and channels that are dropped in training.
DROPOUT = 0.2
#: Deviation of the noise that blurs features in training; its square is the ridge that it amounts to.
NOISE = 0.5
#: The linear path sees frames 40 ms apart.
STRIDE = 2
if sum(dilation * (KERNEL // 2) for dilation in DILATIONS) != CONTEXT:
    raise ValueError(f"the network's reach must be {CONTEXT} frames, as core/voice/ats.py pads")
SPEECH, BILABIAL, LABIODENTAL, ROUNDING = range(len(EVENTS))
#: Probabilities between which a decision fades in.
SPEECH_FADE = (0.02, 0.12)
#: A contact that is sure is held as long as it is; one that is not is made where its probability peaks, as onsets are
#: picked (Bello et al. 2005, "A tutorial on onset detection in music signals"), and beside the peak by how far the
#: probability has fallen, to this power. So short closures are made whose neighbours stay open.
SURE_FADE, PEAK_FADE, PEAK_POWER = (0.4, 0.7), (0.2, 0.4), 3
#: Rounding is heard as the mean of probabilities within BESIDE frames, the nearer the more.
ROUND_FADE = (0.1, 0.9)
#: An emotion that opens the mouth gives way earlier, to any sound that brings lip to lip or lip to teeth.
GUARD_FADE = (0.1, 0.4)
#: Share of the gap that closes where the lower lip bites: it meets the teeth, behind a lip that rises a little.
BITE = 0.45
#: Lips press together by at most this much beyond touching (canonical units, 0.4 mm).
PRESS = 0.004
#: An emotion that brings lips together takes at most this share of the gap that speech opens, so that it stays seen.
TAKEN = 0.5
#: Lids of both eyes.
LIDS = (37, 38, 40, 41, 43, 44, 46, 47)
CHIN = 8
#: Inner points of the upper and of the lower lip.
UPPER_INNER, LOWER_INNER = zip(*INNER_LIP_PAIRS, strict=True)
#: Brows, nose and eyes: what the style's upper face scales.
UPPER_FACE = tuple(range(17, 48))


class Block(nn.Module):
    """x + W GELU(conv(x)), without padding: (B,C,T) -> (B,C,T - 4 dilation)."""

    def __init__(self, width: int, dilation: int, dropout: float) -> None:
        super().__init__()
        self.crop = dilation * (KERNEL // 2)
        self.layers = nn.Sequential(
            nn.Conv1d(width, width, KERNEL, dilation=dilation),
            nn.GELU(),
            nn.Dropout(dropout),
            nn.Conv1d(width, width, 1),
        )

    def forward(self, x: Tensor) -> Tensor:
        return x[:, :, self.crop : x.shape[2] - self.crop] + self.layers(x)


class Convolutions(nn.Module):
    """(B, T + 28, 384) standardised features -> (B,T,width): what lies within 280 ms to either side."""

    def __init__(self, width: int, dropout: float) -> None:
        super().__init__()
        self.enter = nn.Sequential(nn.Dropout(dropout), nn.Linear(FEATURES, width), nn.GELU())
        self.blocks = nn.Sequential(*[Block(width, dilation, dropout) for dilation in DILATIONS])

    def forward(self, standard: Tensor) -> Tensor:
        return self.blocks(self.enter(standard).transpose(1, 2)).transpose(1, 2)


class Recurrence(nn.Module):
    """The same from a recurrent network that answers 280 ms late: all that went before, and as much ahead."""

    def __init__(self, width: int, dropout: float) -> None:
        super().__init__()
        self.enter = nn.Sequential(nn.Dropout(dropout), nn.Linear(FEATURES, width), nn.GELU(), nn.Dropout(dropout))
        self.memory = nn.LSTM(width, 2 * width, batch_first=True)
        self.leave = nn.Linear(2 * width, width)

    def forward(self, standard: Tensor) -> Tensor:
        return self.leave(self.memory(self.enter(standard))[0][:, 2 * CONTEXT :])


class Trunk(nn.Module):
    """features (B, T + 28, 384) -> controls (B,T,K), event logits (B,T,4).

    While it learns, standardised features are blurred by white noise of deviation NOISE: this asks for small weights
    as a ridge does (Bishop 1995, "Training with noise is equivalent to Tikhonov regularization"), and so for what many
    features agree on.
    """

    mean: Tensor
    deviation: Tensor

    def __init__(self, controls: int, body: type[nn.Module] = Convolutions) -> None:
        super().__init__()
        self.controls = controls
        self.register_buffer("mean", torch.zeros(FEATURES))
        self.register_buffer("deviation", torch.ones(FEATURES))
        self.body = body(WIDTH, DROPOUT)
        self.leave = nn.Linear(WIDTH, controls)
        nn.init.zeros_(self.leave.weight)
        self.ears = body(WIDTH, DROPOUT)
        self.decide = nn.Linear(WIDTH, len(EVENTS))
        self.straight = nn.Conv1d(FEATURES, controls, KERNEL, dilation=STRIDE).requires_grad_(False)

    def forward(self, features: Tensor) -> tuple[Tensor, Tensor]:
        standard = (features - self.mean) / self.deviation
        crop = CONTEXT - STRIDE * (KERNEL // 2)
        near = standard[:, crop : standard.shape[1] - crop].transpose(1, 2)
        heard = standard + NOISE * torch.randn_like(standard) if self.training else standard
        controls = self.leave(self.body(heard)) + self.straight(near).transpose(1, 2)
        return controls, self.decide(self.ears(heard))


def controls_of(trunk: Trunk, features: np.ndarray) -> np.ndarray:
    """(T,K) what a trunk answers to features (T,384), whose ends are held."""
    padded = np.pad(features.astype(np.float32), ((CONTEXT, CONTEXT), (0, 0)), mode="edge")
    with torch.no_grad():
        return trunk(torch.from_numpy(padded[None]))[0][0].numpy()


def fade(value: Tensor, limits: tuple[float, float]) -> Tensor:
    """0 below the first limit, 1 above the second, smooth between."""
    x = torch.clamp((value - limits[0]) / (limits[1] - limits[0]), 0.0, 1.0)
    return x * x * (3.0 - 2.0 * x)


class Face(nn.Module):
    """Controls, events, emotion, style, lids and brows -> displacement (B,T,68,3).

    speech (K,68,3), jaw (68,3), rounding (68,3), feelings (8,68,3), lids (68,3) and brows (68,3): landmark shapes,
    canonical units. Of speech, as much of the jaw's shape as explains the chin's height is the jaw's motion, the rest
    is the lips'; theirs, too, is what rounds them beyond that. energy (8,): how much larger or smaller an emotion makes
    articulation.
    """

    speech: Tensor
    jaw: Tensor
    feelings: Tensor
    energy: Tensor
    lid_mask: Tensor
    upper_mask: Tensor
    lids: Tensor
    brows: Tensor
    rounding: Tensor
    nearness: Tensor
    closing: Tensor

    def __init__(
        self,
        speech: Tensor,
        jaw: Tensor,
        rounding: Tensor,
        feelings: Tensor,
        lids: Tensor,
        brows: Tensor,
        energy: Tensor,
    ) -> None:
        super().__init__()
        self.register_buffer("speech", speech.reshape(len(speech), -1))
        self.register_buffer("jaw", jaw)
        self.register_buffer("rounding", rounding)
        nearness = torch.hann_window(2 * BESIDE + 3, periodic=False)[1:-1]
        self.register_buffer("nearness", (nearness / nearness.sum()).reshape(1, 1, -1))
        self.register_buffer("feelings", feelings.reshape(len(EMOTIONS), -1))
        self.register_buffer("energy", energy)
        self.register_buffer("lid_mask", _points(LIDS))
        self.register_buffer("upper_mask", _points(UPPER_FACE))
        self.register_buffer("lids", lids)
        self.register_buffer("brows", brows)
        self.register_buffer("closing", torch.from_numpy(parting().reshape(3, -1)))

    def forward(
        self, controls: Tensor, events: Tensor, emotion: Tensor, style: Tensor, blink: Tensor, brow: Tensor
    ) -> Tensor:
        speaks = fade(events[..., SPEECH : SPEECH + 1], SPEECH_FADE)
        articulation, jaw, lips, upper = style.split(1, dim=-1)
        energy = articulation * (1.0 + emotion @ self.energy[:, None])
        shape = (*emotion.shape[:2], 68, 3)
        plain = ((controls * speaks) @ self.speech).reshape(shape)
        dropped = (plain[:, :, CHIN, 1:2] / self.jaw[CHIN, 1])[..., None] * self.jaw
        rounded = self._rounded(events) * speaks
        lips_alone = plain - dropped + rounded[..., None] * self.rounding
        spoken = energy[..., None] * (jaw[..., None] * dropped + lips[..., None] * lips_alone)
        felt = (emotion @ self.feelings).reshape(shape) + brow[..., None] * self.brows
        felt = felt * (1.0 + (upper[..., None] - 1.0) * self.upper_mask)
        shut = blink[..., None] * self.lid_mask
        moved = spoken + felt * (1.0 - shut) + self.lids * shut
        apart, opened = gap(moved), gap(spoken)
        heard = events[..., [BILABIAL, LABIODENTAL]]
        contacts = _contact(heard) * speaks
        contact, bite = contacts[..., :1], BITE * contacts[..., 1:]
        guard = torch.maximum(fade(heard, GUARD_FADE) * speaks, contacts).amax(-1, keepdim=True)
        left = opened * (1.0 - contact) * (1.0 - bite)
        parted, pressed = torch.relu(apart - opened), torch.relu(opened - apart)
        wanted = left + parted * (1.0 - guard) - torch.minimum(pressed, torch.clamp(TAKEN * left, min=PRESS))
        return moved + ((torch.clamp(wanted, min=-PRESS) - apart) @ self.closing).reshape(shape)

    def _rounded(self, events: Tensor) -> Tensor:
        """(B,T,4) -> (B,T,1) how far lips are rounded, 0 to 1."""
        heard = events[..., ROUNDING : ROUNDING + 1].transpose(1, 2)
        return fade(functional.conv1d(heard, self.nearness, padding=BESIDE).transpose(1, 2), ROUND_FADE)


def _contact(heard: Tensor) -> Tensor:
    """(B,T,N) probabilities of N contacts -> (B,T,N) how far each is made, 0 to 1."""
    peak = functional.max_pool1d(heard.transpose(1, 2), 2 * BESIDE + 1, 1, BESIDE).transpose(1, 2)
    return torch.maximum(fade(heard, SURE_FADE), fade(peak, PEAK_FADE) * (heard / peak.clamp(min=1e-6)) ** PEAK_POWER)


def gap(moved: Tensor) -> Tensor:
    """(B,T,68,3) -> (B,T,3) how much further apart than at rest the inner pairs are."""
    return moved[:, :, UPPER_INNER, 1] - moved[:, :, LOWER_INNER, 1]


def _points(indices: tuple[int, ...]) -> Tensor:
    mask = torch.zeros(68, 1)
    mask[list(indices)] = 1.0
    return mask


class Ats(nn.Module):
    """features (1, T + 28, 384), emotion (1,T,8), style (1,T,4), blink (1,T,1), brow (1,T,1) -> displacement
    (1,T,68,3), events (1,T,4)."""

    def __init__(self, trunk: Trunk, face: Face) -> None:
        super().__init__()
        self.trunk = trunk
        self.face = face

    def forward(
        self, features: Tensor, emotion: Tensor, style: Tensor, blink: Tensor, brow: Tensor
    ) -> tuple[Tensor, Tensor]:
        controls, logits = self.trunk(features)
        events = torch.sigmoid(logits)
        return self.face(controls, events, emotion, style, blink, brow), events

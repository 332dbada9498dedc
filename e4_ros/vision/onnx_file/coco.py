# Copyright 2026 e4_ros maintainers
#
# Licensed under the Apache License, Version 2.0 (the "License");
# you may not use this file except in compliance with the License.
# You may obtain a copy of the License at
#
#     http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software
# distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied.
# See the License for the specific language governing permissions and
# limitations under the License.

"""The 80 class names of COCO, in the order in which detectors are taught them.

Source: Lin et al., "Microsoft COCO" (arXiv 1405.0312). Its annotations number them from 1 to 90
and leave ten out; detectors with 91 classes keep these numbers, those with 80 close the gaps.
"""

from __future__ import annotations

_NAMES = (
    'person|bicycle|car|motorcycle|airplane|bus|train|truck|boat|traffic light|fire hydrant|'
    'stop sign|parking meter|bench|bird|cat|dog|horse|sheep|cow|elephant|bear|zebra|giraffe|'
    'backpack|umbrella|handbag|tie|suitcase|frisbee|skis|snowboard|sports ball|kite|baseball bat|'
    'baseball glove|skateboard|surfboard|tennis racket|bottle|wine glass|cup|fork|knife|spoon|bowl|'
    'banana|apple|sandwich|orange|broccoli|carrot|hot dog|pizza|donut|cake|chair|couch|'
    'potted plant|bed|dining table|toilet|tv|laptop|mouse|remote|keyboard|cell phone|microwave|'
    'oven|toaster|sink|refrigerator|book|clock|vase|scissors|teddy bear|hair drier|'
    'toothbrush'
)

COCO = tuple(_NAMES.split('|'))
_LEFT_OUT = (12, 26, 29, 30, 45, 66, 68, 69, 71, 83)

#: The number that COCO's annotations have for each name.
COCO_NUMBERS = tuple(number for number in range(1, 91) if number not in _LEFT_OUT)

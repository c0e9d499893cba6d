/* sequence_lstm.h - operand numbers of unidirectional_sequence_lstm, as TFLite orders them. */
#ifndef OP_SEQUENCE_LSTM_H
#define OP_SEQUENCE_LSTM_H

enum { /* gates are i f c o */
       SL_INPUT = 0,
       SL_W = 1,
       SL_R = 5,
       SL_PEEP = 9, /* i f o */
       SL_BIAS = 12,
       SL_PROJ = 16,
       SL_PROJ_BIAS = 17,
       SL_H = 18,
       SL_C = 19,
       SL_NORM = 20,
       SL_OPERANDS = 24
};

#endif

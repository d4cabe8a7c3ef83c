package org.virtualchannels.sample.screens

import android.annotation.SuppressLint
import android.content.Context
import android.graphics.Bitmap
import android.graphics.Canvas
import android.graphics.Color
import android.graphics.Paint
import android.graphics.Rect
import android.view.View
import com.google.zxing.BarcodeFormat
import com.google.zxing.EncodeHintType
import com.google.zxing.qrcode.QRCodeWriter
import com.google.zxing.qrcode.decoder.ErrorCorrectionLevel

/** A QR code as wide as the screen. The texts of this library in upper case make the smallest ones. */
@SuppressLint("ViewConstructor")
class QrView(context: Context, text: String) : View(context) {
    private val code = draw(text)
    private val sharp = Paint().apply { isFilterBitmap = false }

    override fun onMeasure(widthMeasureSpec: Int, heightMeasureSpec: Int) {
        val width = MeasureSpec.getSize(widthMeasureSpec)
        setMeasuredDimension(width, width)
    }

    override fun onDraw(canvas: Canvas) {
        canvas.drawBitmap(code, null, Rect(0, 0, width, height), sharp)
    }

    private companion object {
        /** One pixel a module, with the light edge that the standard asks for. */
        fun draw(text: String): Bitmap {
            val hints = mapOf(EncodeHintType.ERROR_CORRECTION to ErrorCorrectionLevel.L, EncodeHintType.MARGIN to 4)
            val matrix = QRCodeWriter().encode(text, BarcodeFormat.QR_CODE, 0, 0, hints)
            val pixels = IntArray(matrix.width * matrix.height) { at ->
                if (matrix.get(at % matrix.width, at / matrix.width)) Color.BLACK else Color.WHITE
            }
            return Bitmap.createBitmap(pixels, matrix.width, matrix.height, Bitmap.Config.ARGB_8888)
        }
    }
}
